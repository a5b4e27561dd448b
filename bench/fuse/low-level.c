/* What bench/fuse.ts is held against: the same file system over libfuse3's low-level interface.
 *   cc -O2 low-level.c -o low-level $(pkg-config --cflags --libs fuse3); low-level [-s] -f DIR
 */
#define FUSE_USE_VERSION 34
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BIG 2
static char zeros[1 << 20];

static struct stat attributes(fuse_ino_t ino) {
  struct stat st = {.st_ino = ino, .st_mode = ino == 1 ? S_IFDIR | 0755 : S_IFREG | 0644, .st_nlink = 1};
  st.st_uid = getuid();
  st.st_gid = getgid();
  st.st_size = ino == BIG ? 1L << 30 : 4096;
  return st;
}
static void on_init(void *data, struct fuse_conn_info *connection) {
  connection->max_readahead = 1 << 20;
  connection->max_write = 1 << 20;
}
static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name) {
  fuse_ino_t ino = strcmp(name, "big") == 0 ? BIG : 10 + strtoul(name, NULL, 10);
  struct fuse_entry_param entry = {.ino = ino, .attr_timeout = 3600, .attr = attributes(ino)};
  fuse_reply_entry(req, &entry);
}
static void on_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
  struct stat st = attributes(ino);
  fuse_reply_attr(req, &st, 3600);
}
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *st, int set, struct fuse_file_info *file) {
  on_getattr(req, ino, file);
}
static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) {
  file->direct_io = 1;
  fuse_reply_open(req, file);
}
static void on_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset, struct fuse_file_info *file) {
  fuse_reply_buf(req, zeros, size < sizeof zeros ? size : sizeof zeros);
}
static void on_write(fuse_req_t req, fuse_ino_t ino, const char *bytes, size_t size, off_t offset,
                     struct fuse_file_info *file) {
  fuse_reply_write(req, size);
}
static void on_close(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *file) { fuse_reply_err(req, 0); }

int main(int argc, char **argv) {
  const struct fuse_lowlevel_ops ops = {.init = on_init, .lookup = on_lookup, .getattr = on_getattr,
    .setattr = on_setattr, .open = on_open, .read = on_read, .write = on_write, .flush = on_close,
    .release = on_close};
  struct fuse_args args = FUSE_ARGS_INIT(argc, argv);
  struct fuse_cmdline_opts opts;
  if (fuse_parse_cmdline(&args, &opts) != 0 || opts.mountpoint == NULL) return 2;
  struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
  if (session == NULL || fuse_set_signal_handlers(session) != 0) return 1;
  if (fuse_session_mount(session, opts.mountpoint) != 0) return 1;
  struct fuse_loop_config config = {.clone_fd = opts.clone_fd, .max_idle_threads = 10};
  int result = opts.singlethread ? fuse_session_loop(session) : fuse_session_loop_mt(session, &config);
  fuse_session_unmount(session);
  fuse_session_destroy(session);
  return result != 0;
}
