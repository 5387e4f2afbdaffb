//! How much of `/etc` was changed, and by whom.

use namespace_tests::finalize::Story;
use qemu_tests::guest::Guest;

use crate::differences;
use crate::scenario::Scenario;

/// The one of every run that has many files; each takes as long as twenty others. With few files, each proportion of changes has its own.
const MANY: &str = "etc-20000-files-2000-changed";

const BOTH: &[Guest] = &[Guest::Trixie, Guest::Forky];

/// A system with `/etc/many` in both trees, in which the vendor changed the last tenth.
fn many(name: &str, files: u32) -> Story {
    let last = files - files / 10;
    Story::named(name).first_tree(format!("mkdir usr/etc/many; many_files usr/etc/many {files}")).tree(
        "os/next",
        "2",
        format!("cd usr/etc/many; for f in $(ls | tail -n +{last}); do echo vendor >$f; done"),
    )
}

pub(crate) fn all() -> Vec<Scenario> {
    let update = |name: &str, edit: &str| Story::named(name).tree("os/next", "2", edit);
    vec![
        Scenario::of(many("etc-200-files-none-changed", 200).stage("os/next")).etc(0, 0, 0),
        Scenario::of(
            many("etc-200-files-a-tenth-changed", 200).then("cd /etc/many; for f in *[05].conf; do echo mine >$f; done; rm *7.conf").stage("os/next"),
        )
        .etc(40, 20, 0),
        Scenario::of(many("etc-200-files-all-changed", 200).then("cd /etc/many; for f in *; do echo mine >$f; done").stage("os/next"))
            .etc(200, 0, 0),
        Scenario::of(
            many(MANY, 20_000).then("cd /etc/many; for f in *5.conf; do echo mine >$f; done").stage("os/next"),
        )
        .etc(2_000, 0, 0)
        .not_each_time(&[Guest::Forky], MANY),
        Scenario::of(many("etc-20000-files-none-changed", 20_000).stage("os/next"))
            .etc(0, 0, 0)
            .not_each_time(BOTH, MANY),
        Scenario::of(
            many("etc-20000-files-all-changed", 20_000).then("cd /etc/many; for f in *; do echo mine >$f; done").stage("os/next"),
        )
        .etc(20_000, 0, 0)
        .not_each_time(BOTH, MANY),
        Scenario::of(
            update("etc-both-changed", "cd usr/etc; echo vendor >conf.d/00001.conf; echo vendor >conf.d/00002.conf; rm conf.d/00003.conf; echo new >conf.d/new; echo both >conf.d/both")
                .then("cd /etc; echo mine >conf.d/00001.conf; echo mine >conf.d/00003.conf; rm conf.d/00002.conf; echo mine >conf.d/both")
                .stage("os/next"),
        ),
        Scenario::of(
            update("etc-removed-directory-is-shipped", "echo new >usr/etc/conf.d/new; echo changed >usr/etc/conf.d/00001.conf")
                .then("rm -r /etc/conf.d /etc/empty.d")
                .stage("os/next"),
        ),
        Scenario::of(
            update("etc-removed-directory-is-no-longer-shipped", "rm -r usr/etc/conf.d usr/etc/empty.d")
                .then("rm -r /etc/conf.d /etc/empty.d")
                .stage("os/next"),
        ),
        Scenario::of(
            update("etc-changed-in-a-directory-no-longer-shipped", "rm -r usr/etc/conf.d")
                .then("echo mine >/etc/conf.d/00001.conf; echo mine >/etc/conf.d/mine; chmod 700 /etc/conf.d")
                .stage("os/next"),
        ).differs(&differences::ETC_DROPPED_DIRECTORY),
        Scenario::of(
            update("etc-added-everything", "")
                .then("cd /etc; mkdir -p a/b/c empty; echo x >a/b/c/d; : >zero; ln -s nowhere dangling; ln -s /etc/zero absolute; ln -s . here; mkdir -m 1777 sticky; mkdir -m 0000 none; echo x >none/x")
                .stage("os/next"),
        ),
        Scenario::of(update("etc-changed-after-staging", "").stage("os/next").then("echo late >/etc/late; echo late >/etc/passwd")),
        Scenario::of(update("etc-only-times", "").then("touch /etc/passwd; cp -a /etc/group /etc/g; mv /etc/g /etc/group").stage("os/next"))
            .etc(0, 0, 0),
        Scenario::of(
            update("etc-merge-of-a-merge", "echo 2 >usr/etc/conf.d/00001.conf")
                .tree("os/later", "3", "echo 3 >usr/etc/conf.d/00002.conf; rm usr/etc/conf.d/00005.conf")
                .then("cd /etc; echo mine >mine; rm conf.d/00004.conf")
                .stage("os/next")
                .reboot()
                .then("cd /etc; echo mine >conf.d/00005.conf; rm mine; echo again >again")
                .stage("os/later"),
        ),
    ]
}
