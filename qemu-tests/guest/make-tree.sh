# Runs in the guest's own root filesystem: turns /tree, another view of it, into the layout that OSTree deploys, and
# commits that to /repo. $kver and $branch come from the caller.

# What is mutable is not part of a tree: it becomes links to /var, which starts out empty.
mv /tree/etc /tree/usr/etc
rm -rf /tree/var /tree/boot /tree/home /tree/root /tree/srv /tree/mnt /tree/opt /tree/media /tree/tmp /tree/run \
    /tree/proc /tree/sys /tree/dev /tree/tree /tree/repo
mkdir -p /tree/var /tree/boot /tree/sysroot /tree/tmp /tree/run /tree/proc /tree/sys /tree/dev /tree/mnt
chmod 1777 /tree/tmp
ln -s sysroot/ostree /tree/ostree
ln -s var/home /tree/home
ln -s var/roothome /tree/root
ln -s var/srv /tree/srv
ln -s var/opt /tree/opt
cat >/tree/usr/lib/tmpfiles.d/firstroot-tree.conf <<EOF
d /var/home 0755 root root -
d /var/roothome 0700 root root -
d /var/srv 0755 root root -
d /var/opt 0755 root root -
EOF

cp /initramfs/initramfs.img "/tree/usr/lib/modules/$kver/initramfs.img"
ostree --repo=/repo init --mode=bare
# The repository is a cache; what must be durable is synced when it is whole.
ostree --repo=/repo config set core.fsync false
# What a signature vouches for besides the commit; an older ostree knows no images.
image=
if ostree --version | grep --quiet -e '- composefs'; then image=--generate-composefs-metadata; fi
# Epoch 1: what is in /usr/etc is labelled as what it becomes.
labels=
if test -e /tree/usr/etc/selinux/config; then labels='--selinux-policy=/tree --selinux-labeling-epoch=1'; fi
ostree --repo=/repo commit --branch="$branch" --tree=dir=/tree --timestamp='2025-01-01 00:00:00 +0000' \
    --add-metadata-string=version=1 --no-bindings $image $labels
