/**
 * What people and scripts do with a folder, as shell commands. Each is run in a folder of the host's
 * own file system and in a mount, and must do and say the same in both.
 *
 * `$INPUT` is a file of INPUT_SIZE random bytes outside of both. A command's output is compared as it
 * is, so the commands themselves leave out what is each file system's own: times, sizes of
 * directories, blocks used, link counts, the order of a directory.
 */
import { MiB } from '../../src/util/units.js'

export const INPUT_SIZE = 22 * MiB

export interface Step {
  readonly title: string
  readonly script: string
}

/** Every step finds what the ones before it have left. */
export const STEPS: readonly Step[] = [
  {
    title: 'files of all sizes are written and read back',
    script: `
      mkdir sizes && cd sizes
      for n in 0 1 511 4095 4096 4097 131072 1048577 5242880 10485760 10485761 20971521; do
        head -c $n "$INPUT" > f$n
      done
      wc -c f*; sha256sum f*; for f in f*; do head -c 7 $f | od -An -tx1; tail -c 5 $f | od -An -tx1; done`,
  },
  {
    title: 'dd writes with blocks of its own',
    script: `
      dd if="$INPUT" of=dd bs=64k status=none && cmp "$INPUT" dd
      dd if="$INPUT" of=dd-small bs=777 count=3000 status=none
      dd if="$INPUT" of=dd-direct bs=1M count=12 oflag=direct status=none
      dd if=dd-direct of=/dev/null bs=1M iflag=direct status=none
      dd if="$INPUT" of=dd-synced bs=1M count=2 conv=fsync status=none
      sha256sum dd dd-*`,
  },
  {
    title: 'dd writes into the middle and behind the end of a file',
    script: `
      dd if="$INPUT" of=dd bs=1000 seek=7 count=3 conv=notrunc status=none
      dd if="$INPUT" of=dd bs=4096 seek=3001 skip=5 count=1 conv=notrunc status=none
      dd if="$INPUT" of=dd bs=1M seek=30 count=1 conv=notrunc status=none
      dd if="$INPUT" of=sparse bs=1 seek=12000000 count=5 status=none
      dd if="$INPUT" of=dd-small bs=1000 seek=1 count=1 status=none
      stat -c '%n %s' dd sparse dd-small; sha256sum dd sparse dd-small`,
  },
  {
    title: 'files are appended to',
    script: `
      for i in 1 2 3; do echo "line $i" >> lines; done; cat lines
      cat "$INPUT" >> lines; cat lines >> sizes/f4097
      head -c 100 "$INPUT" | dd of=dd-small oflag=append conv=notrunc status=none
      wc -c lines sizes/f4097 dd-small; sha256sum lines sizes/f4097 dd-small`,
  },
  {
    title: 'files are cut and grown',
    script: `
      cp "$INPUT" cut; truncate -s 11000000 cut; sha256sum cut
      truncate -s 11000100 cut; sha256sum cut
      truncate -s 3 cut; sha256sum cut; truncate -s 0 cut; truncate -s 70000 fresh
      : > sizes/f4096; stat -c '%n %s' cut fresh sizes/f4096; sha256sum fresh`,
  },
  {
    title: 'a file is read and written through one descriptor',
    script: `
      exec 3<> lines; read first <&3; echo "$first"; printf OVER >&3; exec 3>&-
      head -c 30 lines; sha256sum lines`,
  },
  {
    title: 'a file is written to after its name is gone',
    script: `
      exec 4> doomed; echo one >&4; rm doomed; echo two >&4; exec 4>&-; test -e doomed; echo $?`,
  },
  {
    title: 'an open file follows its new name',
    script: `
      exec 3> before; echo one >&3; mv before after; echo two >&3; exec 3>&-; cat after
      test -e before; echo $?`,
  },
  {
    title: 'programs edit files in place',
    script: `
      printf 'b\\na\\nc\\n' > text; sort -o text text; cat text
      sed -i s/b/B/ text; cat text; printf 'x\\n' | tee -a text; nl text | tail -n 1`,
  },
  {
    title: 'directories are made and removed',
    script: `
      mkdir -p tree/a/b/c/d tree/empty/deep tree/full; touch tree/full/file tree/a/one
      mkdir tree/a; echo $?; mkdir missing/child; echo $?; rmdir tree/full; echo $?
      rmdir tree/empty/deep; ls tree/empty; rmdir tree/empty; echo $?; rmdir tree/full/file; echo $?
      find tree | sort`,
  },
  {
    title: 'files and directories are renamed',
    script: `
      cp "$INPUT" big; mv big tree/full/; cp sizes/f1 target; mv -f sizes/f511 target; wc -c target
      mv tree/a tree/moved; mv tree/moved/b/c tree/; mkdir tree/other; mv tree/full tree/other
      mv tree/c tree/other/full; mkdir tree/x tree/y; touch tree/y/z; mv -T tree/x tree/y; echo $?
      mv -T tree/y tree/x; echo $?; mv target tree/nowhere/; echo $?; mv -n lines target; mv tree tree/x
      find tree | sort; sha256sum tree/other/full/big; ls`,
  },
  {
    title: 'trees are copied and compared',
    script: `
      mkdir source && cp sizes/* source/ && cp -r tree source/ && cp -r source copy
      diff -r source copy && echo same; cp -a copy again; diff -rq source again && echo same
      echo changed > copy/f1; rm copy/f0; diff -rq source copy`,
  },
  {
    title: 'tar packs and unpacks',
    script: `
      tar cf packed.tar --sort=name --mtime=@0 --owner=0 --group=0 source; tar tf packed.tar
      sha256sum packed.tar; mkdir unpacked; tar xf packed.tar -C unpacked; diff -r source unpacked/source
      tar c --sort=name source | tar t | wc -l; tar cf - source | tar df - && echo matches`,
  },
  {
    title: 'ls, find and du tell the same',
    script: `
      ls -A; ls -R tree; ls -1p source | head -n 5
      ls -lR --time-style=+T . | awk '/^-/ { print $1, $3, $4, $5, $7 } /^d/ { print $1, $3, $4, $7 }'
      find . | sort; find . -type f -size +1M | sort; find . -empty | sort; find . -type d -name 'f*' | sort
      find . -type f -exec du --apparent-size -b {} + | sort
      du -a --apparent-size -b . | awk '{ print $2 }' | sort; test -d tree -a -f lines && echo both`,
  },
  {
    title: 'names of every kind',
    script: `
      mkdir names && cd names
      touch -- 'with blank' ' leading' 'trailing ' -dash .hidden 'per%cent' 'que?ry' 'ha#sh' 'pl+us' 'am&p'
      touch -- 'quo"te' "apos'" 'back\\slash' 'semi;' 'star*' 'new
line' 'ünï' '文件' '😀' 'tilde~' 'a:b' 'a=b' '%2F' '...' 'a//b' 2>&1
      touch "$(head -c 255 /dev/zero | tr '\\0' x)"; touch "$(head -c 256 /dev/zero | tr '\\0' x)"; echo $?
      for f in * .hidden; do printf '%s' "$f" > "$f"; done; ls -1bA | sort
      for f in *; do test "$(cat -- "$f")" = "$f" || echo "$f differs"; done
      mv -- -dash 'que?ry'; cat 'que?ry'; rm -- 'star*'; ls | wc -l`,
  },
  {
    title: 'modes and times hold while the file is known',
    script: `
      echo x > moded; chmod 640 moded; stat -c %a moded; chmod u+x moded; stat -c %A moded; ./moded; echo $?
      touch -d @1000000000 moded; stat -c %Y moded; touch -d '2020-01-01 UTC' moded; date -ur moded +%F
      touch -r moded moded2; stat -c %Y moded2; umask 027; touch masked; mkdir masked-dir
      test moded -ot lines && echo older`,
  },
  {
    title: 'a directory of more than one listing page',
    script: `
      mkdir many; (cd many; seq -f 'entry-%04g' 1 1100 | xargs touch); ls many | wc -l; ls many | tail -n 1
      find many -type f | wc -l; rm many/entry-05*; ls many | wc -l; rm -r many; ls many; echo $?`,
  },
  {
    title: 'locks exclude each other',
    script: `
      flock lines true; echo $?
      exec 3> locked; flock 3; flock -n locked true; echo $?; exec 3>&-; flock -n locked true; echo $?`,
  },
  {
    title: 'rsync copies, then finds nothing to do',
    script: `
      rsync -rc source/ synced/; diff -r source synced && echo same; rsync -rci --delete source/ synced/
      rm source/f0; echo more >> source/f1; rsync -rc --delete source/ synced/; diff -r source synced && echo same
      rsync -rc --inplace --no-whole-file "$INPUT" synced/f1; sha256sum synced/f1`,
  },
  {
    title: 'failures are those of any file system',
    script: `
      cat nothing; cat tree; ls nothing; rm nothing; rm tree; rmdir lines; cd lines; mkdir lines; cat lines/x
      cp nothing x; mv nothing x; echo x > tree; echo x > nothing/x; touch nothing/x; ls lines/; rm -f nothing
      echo $?`,
  },
  {
    title: 'rm -rf removes everything below',
    script: `
      rm -rf copy again unpacked; rm -rf sizes/f1*; rm -rf nothing; find . | sort
      df -P . | awk 'END { print NF }'`,
  },
]
