//! Trees with an SELinux policy. The kernel here has SELinux off: labels are attributes like others, and can be compared.

use anyhow::{Context, Result, ensure};
use namespace_tests::finalize::{Contestant, Filesystem, Machine, SELINUX_POLICY, Story};
use qemu_tests::guest::Guest;

use crate::ours::{boots_version, ours};

/// A semodule that says what it is given, links by putting all modules together, and does what `$body` says.
fn semodule(body: &str) -> String {
    format!(
        r#"cp /usr/bin/busybox usr/bin/sh
        for name in cat ls grep mkdir dd sleep seq mount touch; do ln -s sh usr/bin/$name; done
        cat >usr/sbin/semodule <<'END'
#!/usr/bin/sh
if [ "$1" = --help ]; then echo ' -r --refresh'; exit 0; fi
store=/etc/selinux/targeted
test "$*" = '-N --refresh' || exit 9
{body}
cat $store/active/modules/*/*/cil >$store/policy/policy.33
echo $$ >$store/active/commit_num
echo run >>$store/runs
mkdir -p /etc/selinux/final/targeted
END
        chmod 755 usr/sbin/semodule"#
    )
}

/// A staged update of a system with a policy; `second` changes the second tree.
pub(crate) fn story(name: &str, body: &str, second: &str) -> Story {
    let first = format!("{SELINUX_POLICY}\n{}", semodule(body));
    let edit = format!("kernel 2; echo new >usr/etc/selinux/targeted/policy/policy.33; {second}");
    Story::named(format!("selinux-{name}")).first_tree(first).tree("os/next", "2", edit)
}

/// The machine's own module, in the store.
pub(crate) const MODULE: &str = "mkdir -p /etc/selinux/targeted/active/modules/400/mine; \
    echo mine >/etc/selinux/targeted/active/modules/400/mine/cil";
/// The label of a path, without the zero at its end.
const LABEL: &str = r#"label() { getfattr -h --only-values -n security.selinux "$1" 2>/dev/null | tr -d '\0'; }
    is() { test "$(label "$1")" = "$2" || { echo "$1 has '$(label "$1")', not '$2'" >&2; exit 1; }; }
    of() { is "$1" "system_u:object_r:$2:s0"; }"#;

fn check_labels(machine: &Machine, script: &str) -> Result<String> {
    machine.check(&format!("{LABEL}\n{script}"))
}

/// All new files get the label of their path, and semodule is not executed for a policy that nobody has touched.
pub(crate) fn new_files_get_the_labels_of_the_new_policy(guest: Guest) -> Result<()> {
    let story = story("labels", "echo executed >&2; exit 7", "").with_boot_on(Filesystem::Ext4).stage("os/next");
    let machine = story.staged(guest)?.copy()?;
    machine.check(
        "echo x >/etc/mine; mkdir /etc/dir; ln -s x /etc/dir/link; echo x >>/etc/shadow
        setfattr -n security.selinux -v system_u:object_r:special_t:s0 /etc/group; echo x >>/etc/group
        echo x >/etc/unlabeled; setfattr -n security.selinux -v system_u:object_r:unlabeled_t:s0 /etc/unlabeled
        mkdir -p /var/log/a /var/secret; touch /var/log/a/b; ln -s x /var/link; rm -f /sysroot/ostree/deploy/os/var/.ostree-selabeled
        # What only a refresh has written.
        echo rewritten >/etc/selinux/targeted/policy/policy.33; echo 5 >/etc/selinux/targeted/active/commit_num",
    )?;
    let said = machine.finalize(Contestant::Ours)?;
    said.outcome.success()?;
    boots_version(&machine, "2")?;
    check_labels(
        &machine,
        r#"cd /boot
        old=$(sed -n 's,^linux /ostree/\([^/]*\)/.*,\1,p' loader/entries/ostree-1.conf)
        find . -mindepth 1 -not -path './lost+found*' -not -path "./ostree/$old*" | while read path; do of "$path" boot_t; done
        etc=$(ls -d /sysroot/ostree/deploy/os/deploy/*.0/etc | while read etc; do if test $etc -ef /etc; then echo $etc; fi; done)
        of /etc/mine etc_t; of /etc/dir etc_t; of /etc/dir/link etc_t; of /etc/shadow shadow_t; of /etc/unlabeled etc_t
        of /etc/group special_t
        of ${etc%/etc}.origin system_conf_t
        of /sysroot/ostree/deploy/os/backing/$(basename ${etc%/etc})/root-transient/upper root_t
        of /var var_t; of /var/log var_log_t; of /var/log/a/b var_log_t; of /var/link var_t; of /var/.ostree-selabeled var_t
        is /var/secret ''
        # The new tree's policy, whole.
        grep -x new /etc/selinux/targeted/policy/policy.33; grep -x 1 /etc/selinux/targeted/active/commit_num"#,
    )?;
    Ok(())
}

/// The policy of a machine with a module of its own is built by `--prepare`; shutdown puts it into place.
pub(crate) fn a_policy_with_changes_is_built_before_shutdown(guest: Guest) -> Result<()> {
    // By the users it would know whose homes get which label.
    let body = "echo $(ls /) >&2; touch /usr/x && exit 8; test -e /proc/self || exit 9; grep -c operator /etc/passwd >$store/users";
    let machine = story("module", body, "echo base2 >usr/etc/selinux/targeted/active/modules/100/base/cil")
        .stage("os/next")
        .staged(guest)?
        .copy()?;
    machine.check(&format!("{MODULE}; echo operator:x:1000:1000::/srv/home/operator:/bin/sh >>/etc/passwd"))?;
    let plan = ours(&machine, &["--plan"])?;
    ensure!(plan.contains("built again with this machine's changes") && plan.contains("400/mine/cil"), "{plan}");
    let prepared = ours(&machine, &["--prepare"])?;
    ensure!(prepared.contains("the SELinux policy targeted is built with this machine's changes"), "{prepared}");
    let again = machine.another()?;
    let built = "grep -qx mine /etc/selinux/targeted/policy/policy.33; grep -qx base2 /etc/selinux/targeted/policy/policy.33; \
        test $(wc -l </etc/selinux/targeted/runs) = 1; grep -qx 1 /etc/selinux/targeted/users; test -d /etc/selinux/targeted/active/modules/400/mine; \
        test ! -e /etc/selinux/final; test ! -e /sysroot/ostree/repo/tmp/firstroot-policy";
    let labels = "of /etc/selinux/targeted/policy/policy.33 selinux_config_t; of /etc/selinux/targeted/active/commit_num semanage_store_t; \
        of /etc/selinux/targeted/active/modules/400/mine/cil semanage_store_t";
    let finalized = machine.finalize(Contestant::Ours)?;
    finalized.outcome.success()?;
    ensure!(!finalized.outcome.stderr.contains("semodule:"), "built again: {:?}", finalized.outcome);
    boots_version(&machine, "2")?;
    check_labels(&machine, &format!("{built}; {labels}"))?;
    // The module has changed since: it is built at shutdown.
    again.check("echo mine >/etc/selinux/targeted/active/modules/400/mine/cil; echo 2 >>/etc/selinux/targeted/active/modules/400/mine/cil")?;
    again.finalize(Contestant::Ours)?.outcome.success()?;
    boots_version(&again, "2")?;
    check_labels(&again, &format!("{built}; {labels}; grep -qx 2 /etc/selinux/targeted/policy/policy.33"))?;
    Ok(())
}

/// Whatever semodule does, the update is finalized, with a policy that is whole, and the reason is told.
pub(crate) fn a_policy_that_cannot_be_built_never_costs_the_update(guest: Guest) -> Result<()> {
    let failing =
        "echo 'Failed to resolve allow statement at /etc/selinux/targeted/tmp/modules/400/mine/cil:1' >&2; exit 1";
    for (name, body, reason) in [
        ("fails", failing, "module mine: Failed to resolve allow statement"),
        ("is-killed", "kill -9 $$", "semodule --refresh ended by signal 9"),
        ("hangs", "sleep 1000 & sleep 1000", "semodule has not ended after 2 seconds"),
        ("floods", "seq 1 300000; echo enough; exit 1", "enough"),
        ("fills", "dd if=/dev/zero of=$store/active/fill bs=1M 2>/dev/null; echo full; exit 1", "full"),
    ] {
        let machine = story(name, body, "").stage("os/next").staged(guest)?.copy()?;
        let limit = if name == "hangs" { 2 } else { 100 };
        machine.check(&format!(
            "{MODULE}; mkdir -p /etc/ostree; printf '[selinux]\\nrefresh-timeout={limit}\\n' >/etc/ostree/finalize-staged.conf"
        ))?;
        let failing = machine.another()?;
        let prepared = ours(&machine, &["--prepare"])?;
        ensure!(prepared.contains(reason), "{name}: {prepared}");
        let plan = ours(&machine, &["--plan"])?;
        ensure!(plan.contains("it could not be built") && plan.contains(reason), "{name}: {plan}");
        let finalized = machine.finalize(Contestant::Ours)?;
        finalized.outcome.success().with_context(|| name)?;
        ensure!(finalized.outcome.stderr.contains(reason), "{name}: {:?}", finalized.outcome);
        boots_version(&machine, "2")?;
        // The machine's policy as it was, whole; and nothing is left over.
        machine.check(
            "grep -x old /etc/selinux/targeted/policy/policy.33; test -e /etc/selinux/targeted/active/modules/400/mine/cil; \
             test ! -e /sysroot/ostree/repo/tmp/firstroot-policy; ! ls -d /etc/selinux/.f*",
        )?;
        let told = machine.run("/usr/lib/firstroot/ostree-finalize-staged --boot-complete")?;
        let words = "the update is finalized, but the SELinux policy targeted cannot be built";
        ensure!(
            told.code == Some(0) && told.stderr.contains(words) && told.stderr.contains(reason),
            "{name}: {told:?}"
        );
        if name == "fails" {
            failing.check("printf '[selinux]\\non-refresh-failure=fail\\n' >/etc/ostree/finalize-staged.conf")?;
            let outcome = failing.finalize(Contestant::Ours)?.outcome;
            ensure!(outcome.code == Some(1) && outcome.stderr.contains("on-refresh-failure=fail"), "{outcome:?}");
            boots_version(&failing, "1")?;
        }
    }
    Ok(())
}

/// No semodule in the new tree, or one that has no `--refresh`.
pub(crate) fn a_tree_without_semodule_is_finalized(guest: Guest) -> Result<()> {
    for (name, edit, said, policy) in [
        ("missing", "rm usr/sbin/semodule", "the new tree has no semodule", "old"),
        ("old", "printf '#!/usr/bin/sh\\nexit 0\\n' >usr/sbin/semodule", "has no --refresh", "old"),
    ] {
        let machine = story(&format!("semodule-{name}"), "", edit).stage("os/next").staged(guest)?.copy()?;
        machine.check(MODULE)?;
        let finalized = machine.finalize(Contestant::Ours)?;
        finalized.outcome.success()?;
        ensure!(finalized.outcome.stderr.contains(said), "{name}: {:?}", finalized.outcome);
        boots_version(&machine, "2")?;
        machine.check(&format!(
            "grep -x {policy} /etc/selinux/targeted/policy/policy.33; test -e /etc/selinux/targeted/active/modules/400/mine/cil"
        ))?;
    }
    Ok(())
}
