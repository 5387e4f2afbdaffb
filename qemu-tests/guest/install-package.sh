# Makes an initramfs with the package in the guest's own root filesystem, and puts the files of the package into /tree. Later the package
# is removed again. $kver, $format and the function `dracut_makes_the_initramfs` come from the caller.
paths() { find / -xdev \( -path /var -o -path /boot -o -path /run -o -path /out -o -path /initramfs -o -path /packages -o -path /repo -o -path /tmp \) -prune -o -print | sort; }
if [ "$format" = deb ]; then
    paths >/run/before
    # That of the tree is made below; the trigger would make one in /boot.
    dpkg --no-triggers --install /packages/firstroot_*.deb
    dpkg --listfiles firstroot >/run/files
fi
while read -r path; do
    if [ -d "$path" ] && ! [ -L "$path" ]; then continue; fi
    # Manual pages are left out of guests.
    if ! [ -L "$path" ] && ! [ -e "$path" ]; then continue; fi
    printf '%s\n' "$path"
done </run/files >/run/installed
mkdir -p /initramfs /out
dracut_makes_the_initramfs
mv /out/initramfs.img /initramfs/initramfs.img
tar --create --directory=/ --files-from=/run/installed | tar --extract --directory=/tree
