# The tree that every story begins with: what `ostree` looks at, and nothing else. Runs in the tree's own directory.

mkdir -p usr/bin usr/sbin usr/lib/ostree usr/lib64 usr/etc sysroot proc sys dev run tmp var boot
chmod 1777 tmp
for link in bin sbin lib lib64; do ln -s "usr/$link" "$link"; done
ln -s sysroot/ostree ostree
ln -s var/home home
ln -s var/roothome root
echo program >usr/bin/program
chmod 755 usr/bin/program
printf 'ID=small\nPRETTY_NAME="Small System"\n' >usr/lib/os-release

echo root:x:0:0:root:/root:/bin/sh >usr/etc/passwd
echo root:x:0: >usr/etc/group
echo 'root:*:20000:0:99999:7:::' >usr/etc/shadow
chmod 600 usr/etc/shadow
ln -s ../usr/lib/os-release usr/etc/os-release
ln -s /usr/share/zoneinfo/UTC usr/etc/localtime
mkdir -p usr/etc/conf.d usr/etc/empty.d usr/etc/private.d
chmod 700 usr/etc/private.d
many_files usr/etc/conf.d 30
kernel 1
