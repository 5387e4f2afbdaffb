# An update of a tree with SELinux: its policy has one more type, and a file of /etc has it.
semodule --noreload --install=/usr/share/firstroot/newer-policy.cil
rm -rf /etc/selinux/final /etc/selinux/default/semanage.*.LOCK /tree/usr/etc/selinux
cp -a /etc/selinux /tree/usr/etc/
echo newer >/tree/usr/etc/newer.conf
head -c 512 /dev/zero >>"/tree/usr/lib/modules/$kver/initramfs.img"
ostree --repo=/repo commit --branch=firstroot/newer --tree=dir=/tree --timestamp='2025-02-01 00:00:00 +0000' \
    --add-metadata-string=version=2 --no-bindings $image $labels
