# What scripts of a story can call.

# SEED BYTES: the same pseudo-random bytes each time.
pseudo_random() {
    perl -e 'srand $ARGV[0]; my $n = $ARGV[1]; my $b = pack "L*", map { int rand 4294967296 } 0 .. $n / 4; print substr $b, 0, $n' \
        "$1" "$2"
}

# SEED [KVER]: another kernel and initramfs in place of those of the tree that is the current directory.
kernel() {
    rm -rf usr/lib/modules
    mkdir -p "usr/lib/modules/${2:-6.1.0}"
    pseudo_random "$((2 * $1))" "$kernel_bytes" >"usr/lib/modules/${2:-6.1.0}/vmlinuz"
    pseudo_random "$((2 * $1 + 1))" "$initramfs_bytes" >"usr/lib/modules/${2:-6.1.0}/initramfs.img"
}

# DIRECTORY NUMBER [TEXT]: that many files, 00001.conf and on, of a line each.
many_files() {
    perl -e 'my ($d, $n, $t) = @ARGV; for (1 .. $n) { my $f = sprintf "%s/%05d.conf", $d, $_; open my $h, ">", $f or die "$f: $!"; print $h "$t $_\n" }' \
        "$1" "$2" "${3:-shipped}"
}

# BRANCH VERSION: commits the tree that is the current directory; no version: none.
commit() {
    set -- "$1" ${2:+"--add-metadata-string=version=$2"}
    branch=$1
    shift
    ostree --repo=/target/ostree/repo commit --branch="$branch" --tree=dir=. --fsync=no --no-bindings \
        --timestamp='2025-01-01 00:00:00 +0000' "$@" >/dev/null
}
