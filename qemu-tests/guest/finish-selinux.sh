
# Debian's policy, kept as Fedora keeps it: the store is in /etc/selinux, which each deployment has, and not in /var, which starts out empty.
mv "$root"/var/lib/selinux/default/* "$root/etc/selinux/default/"
rm -r "$root/var/lib/selinux"
echo 'store-root=/etc/selinux' >>"$root/etc/selinux/semanage.conf"
printf 'SELINUX=enforcing\nSELINUXTYPE=default\n' >"$root/etc/selinux/config"
chroot "$root" semodule --noreload --install=/usr/share/firstroot/firstroot-guest.cil
rm -r "$root/etc/selinux/final" "$root"/etc/selinux/default/semanage.*.LOCK
# It asks the kernel for what Debian's policy does not allow.
ln -sf /dev/null "$root/etc/systemd/system/xfs_healer_start.service"
