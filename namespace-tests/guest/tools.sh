# Programs of the host for a guest that lacks them, and a systemctl that only notes how it was called. The host's /usr is at
# /run/fixture/host/usr.

mkdir -p /run/fixture/tools
cat >/run/fixture/tools/setfattr <<'END'
#!/bin/sh
host=/run/fixture/host/usr
libraries=$(echo $host/lib/*-linux-gnu)
program=$host/bin/${0##*/}
[ -e "$program" ] || program=$host/sbin/${0##*/}
exec "$libraries"/ld-linux-*.so.* --library-path "$libraries" "$program" "$@"
END
cat >/run/fixture/tools/systemctl <<'END'
#!/bin/sh
echo "$@" >>/run/fixture/machine/systemctl.log
END
chmod 755 /run/fixture/tools/setfattr /run/fixture/tools/systemctl
for tool in getfattr setfacl getfacl setcap getcap strace; do
    ln -sf setfattr "/run/fixture/tools/$tool"
done
