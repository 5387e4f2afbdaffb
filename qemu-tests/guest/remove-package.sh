# The package is removed from the guest, which must be as before, and from /tree: an update without it.
if [ "$format" = deb ]; then
    dpkg --no-triggers --purge firstroot
    paths >/run/after
    diff /run/before /run/after
else
    # The guest has no rpm, which would remove these.
    while read -r path; do rm "$path"; done </run/installed
    rm -r /usr/lib/firstroot /usr/lib/dracut/modules.d/49ostree
fi
while read -r path; do
    case $path in
        /etc/*) rm "/tree/usr$path" ;;
        *) rm "/tree$path" ;;
    esac
done </run/installed
rm -rf /tree/usr/lib/firstroot
dracut_makes_the_initramfs
cp /out/initramfs.img "/tree/usr/lib/modules/$kver/initramfs.img"
ostree --repo=/repo commit --branch=firstroot/newer --tree=dir=/tree --timestamp='2025-02-01 00:00:00 +0000' \
    --add-metadata-string=version=2 --no-bindings
