//! Everything that a thing in `/etc` can be.

use namespace_tests::finalize::Story;

use crate::differences;
use crate::scenario::Scenario;

fn changed(name: &str, script: &str) -> Scenario {
    Scenario::of(Story::named(name).tree("os/next", "2", "").then(format!("cd /etc\n{script}")).stage("os/next"))
}

fn both(name: &str, vendor: &str, machine: &str) -> Scenario {
    let story = Story::named(name).tree("os/next", "2", format!("cd usr/etc\n{vendor}"));
    Scenario::of(story.then(format!("cd /etc\n{machine}")).stage("os/next"))
}

pub(crate) fn all() -> Vec<Scenario> {
    vec![
        changed("etc-file-to-link", "rm passwd; ln -s group passwd"),
        changed("etc-file-to-directory", "rm passwd; mkdir passwd; echo x >passwd/x"),
        changed("etc-link-to-file", "rm os-release; echo ID=mine >os-release"),
        changed("etc-link-to-directory", "rm localtime; mkdir localtime; echo x >localtime/x"),
        changed("etc-link-elsewhere", "ln -sfn nowhere os-release; ln -sfn /absolute localtime"),
        changed("etc-directory-to-file", "rm -r conf.d empty.d; echo x >conf.d; : >empty.d")
            .fails()
            .refused(&differences::ETC_CONFLICT),
        changed("etc-directory-to-link", "rm -r conf.d; ln -s private.d conf.d")
            .fails()
            .refused(&differences::ETC_CONFLICT),
        changed(
            "etc-hard-links",
            "ln passwd passwd-2; echo x >one; ln one two; ln conf.d/00001.conf conf.d/linked; echo y >>conf.d/00001.conf",
        ),
        changed(
            "etc-odd-names",
            "perl -e 'for my $n (\"line\\nfeed\", \"\\xff\\xfe\", \" space \", \"-dash\", \"*\", \"quote\\x27\\\"\", \"back\\\\slash\", \"x\" x 255) { open my $h, \">\", $n or die $!; print $h $n; close $h }'",
        ),
        changed(
            "etc-empty-and-sparse",
            ": >empty; truncate -s 1M sparse; printf x >sparse-2; truncate -s 3M sparse-2; printf y >>sparse-2",
        ),
        changed("etc-a-large-file", "head -c 5000000 /dev/zero | tr '\\0' 'x' >large"),
        changed(
            "etc-attributes-of-changed-files",
            "for f in passwd conf.d/00001.conf; do echo x >>$f; setfattr -n user.mine -v value $f; done; setfacl -m u:1:r passwd; echo x >cap; setcap cap_net_raw+ep cap; setfattr -n trusted.mine -v t cap; mkdir dir; setfattr -n user.mine -v d dir; setfacl -d -m u:2:rwx dir; echo x >dir/x",
        ),
        changed("etc-attribute-only-file", "setfattr -n user.mine -v value passwd")
            .differs(&differences::ETC_ATTRIBUTES),
        changed("etc-acl-only-file", "setfacl -m u:1:r passwd").differs(&differences::ETC_ATTRIBUTES),
        changed("etc-capability-only-file", "setcap cap_net_raw+ep passwd").differs(&differences::ETC_ATTRIBUTES),
        changed("etc-attribute-only-directory", "setfattr -n user.mine -v value conf.d")
            .differs(&differences::ETC_ATTRIBUTES),
        changed(
            "etc-mode-only-file",
            "chmod 640 passwd; chmod 4755 group; chmod 0000 conf.d/00001.conf; chmod 666 shadow",
        ),
        changed(
            "etc-owner-only-file",
            "chown 5:6 passwd; chown 7 conf.d/00001.conf; chgrp 8 shadow; chown -h 9:9 os-release",
        ),
        changed("etc-mode-only-directory", "chmod 700 conf.d").differs(&differences::ETC_DIRECTORIES),
        changed("etc-owner-only-directory", "chown 5:6 conf.d").differs(&differences::ETC_DIRECTORIES),
        changed("etc-itself", "chmod 700 .; chown 0:5 .").differs(&differences::ETC_DIRECTORIES),
        changed(
            "etc-modes",
            "for m in 0000 0111 0600 0777 1777 2755 4755 6711; do echo $m >f$m; chmod $m f$m; mkdir d$m; chmod $m d$m; done; chown 5:6 f0600; chmod 6711 f6711",
        ),
        changed("etc-owners", "mkdir d; echo x >d/x; ln -s x d/l; chown -hR 1000:1001 d; chown 65534:65534 passwd"),
        changed("etc-fifo", "mkfifo fifo"),
        changed(
            "etc-socket",
            "perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_STREAM, 0); bind $s, pack_sockaddr_un(\"socket\") or die $!'",
        ),
        changed("etc-devices", "mknod null c 1 3; mknod block b 7 99"),
        changed("etc-file-to-fifo", "rm passwd; mkfifo passwd").differs(&differences::ETC_SPECIAL),
        changed("etc-deep", "d=deep; for i in $(seq 60); do d=$d/level-$i; done; mkdir -p $d; echo x >$d/x"),
        changed("etc-immutable-file", "chattr +i passwd; echo x >imm; chattr +i imm"),
        both("etc-vendor-file-to-directory", "rm passwd; mkdir passwd; echo v >passwd/v", "echo mine >passwd")
            .fails()
            .refused(&differences::ETC_CONFLICT),
        both(
            "etc-vendor-file-to-directory-too",
            "rm passwd; mkdir passwd; echo v >passwd/v",
            "rm passwd; mkdir passwd; echo m >passwd/m",
        )
        .differs(&differences::ETC_BOTH_DIRECTORIES),
        both("etc-vendor-directory-to-file", "rm -r conf.d; echo v >conf.d", "echo mine >conf.d/00001.conf")
            .fails()
            .refused(&differences::ETC_CONFLICT),
        both("etc-vendor-directory-to-link", "rm -r conf.d; ln -s private.d conf.d", "echo mine >conf.d/00001.conf")
            .refused(&differences::ETC_THROUGH_A_LINK),
        both(
            "etc-vendor-link-to-directory",
            "rm localtime; mkdir localtime; echo v >localtime/v",
            "ln -sfn elsewhere localtime",
        )
        .fails()
        .refused(&differences::ETC_CONFLICT),
        both(
            "etc-vendor-adds-directory-where-the-machine-has-a-file",
            "mkdir added; echo v >added/v",
            "echo mine >added",
        )
        .fails()
        .refused(&differences::ETC_CONFLICT),
        both(
            "etc-vendor-adds-file-where-the-machine-has-a-directory",
            "echo v >added",
            "mkdir added; echo mine >added/m",
        ),
        both("etc-both-add-a-directory", "mkdir -m 700 added; echo v >added/v", "mkdir added; echo mine >added/m"),
        both("etc-vendor-removes-a-changed-file", "rm passwd", "echo mine >passwd"),
        both(
            "etc-vendor-changes-modes",
            "chmod 600 passwd; chmod 750 conf.d",
            "echo mine >group; echo mine >conf.d/00001.conf",
        )
        .differs(&differences::ETC_DIRECTORIES),
    ]
}
