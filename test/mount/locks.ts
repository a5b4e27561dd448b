/** Locks between processes of one host: the kernel keeps them, for our files as for any others. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { MountedBucket, startServer } from '../helpers/bosmount.js'
import { Background, run } from '../helpers/processes.js'
import { scratchFolder } from '../helpers/scratch.js'

/** struct flock of x86-64 and arm64 Linux: type, whence, start, length, pid (fcntl(2)). */
const FCNTL = `
use Fcntl;
my ($type, $start, $stay) = @ARGV;
open(my $file, '+<', 'file') or die "open: $!";
my $lock = pack('s s x4 q q i x4', $type, 0, $start, 10, 0);
fcntl($file, F_SETLK, $lock) or do { print "refused\\n"; exit 1 };
$| = 1;
print "locked\\n";
sleep 60 if $stay;
`
const WRITE_LOCK = '1'
const READ_LOCK = '0'

void t.test('flock and fcntl locks of one process keep others out until it ends', async t => {
  const folder = scratchFolder(t)
  const mountpoint = join(folder, 'mount')
  mkdirSync(mountpoint)
  const server = await startServer(t, folder)
  const mount = await MountedBucket.mount(t, { server, mountpoint })
  writeFileSync(join(mountpoint, 'file'), 'x'.repeat(100))
  const cwd = { cwd: mountpoint }

  const holder = new Background(t, 'flock', ['file', 'sh', '-c', 'echo locked; exec sleep 60'], cwd)
  await holder.waitFor(/locked/)
  t.equal((await run('flock', ['-n', 'file', 'true'], cwd)).code, 1, 'flock is refused')
  t.equal((await run('flock', ['-n', '-s', 'file', 'true'], cwd)).code, 1, 'shared too')
  await holder.kill()
  t.equal((await run('flock', ['-n', 'file', 'true'], cwd)).code, 0, 'free when the holder is gone')

  const lock = (...args: string[]) => run('perl', ['-e', FCNTL, ...args], cwd)
  const ranged = new Background(t, 'perl', ['-e', FCNTL, WRITE_LOCK, '0', '1'], cwd)
  await ranged.waitFor(/locked/)
  t.equal((await lock(WRITE_LOCK, '5')).code, 1, 'an overlapping range is refused')
  t.equal((await lock(READ_LOCK, '5')).code, 1)
  t.equal((await lock(WRITE_LOCK, '10')).code, 0, 'another range is free')
  await ranged.kill()
  t.equal((await lock(WRITE_LOCK, '5')).code, 0)
  t.equal(await mount.unmount(), 0, mount.process.output)
})
