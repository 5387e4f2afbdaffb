//! `firstroot repair bootlinks`: after a power cut, each boot link is the old one, or leads to the deployment that was meant, and a second
//! repair makes the rest.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use namespace_tests::finalize::{Filesystem, Machine};
use namespace_tests::power_cut::{Recording, Scratch, States};
use qemu_tests::boot_entry::BootEntry;
use qemu_tests::command::run;
use qemu_tests::guest::Guest;
use qemu_tests::host;

use crate::disks::{self, Boot, Entries, Loader};
use crate::run::{FEW, cuts};

/// The binary under test; `None`: `cargo test` alone.
pub(crate) fn binary() -> Option<PathBuf> {
    std::env::var_os("FIRSTROOT_COMMAND").map(PathBuf::from)
}

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// The default's boot link does not exist; the other entry boots.
    OneIsMissing,
    /// Entries name `boot.1`, and the disk has only `boot.0`, or the other way round.
    OutOfStep,
    /// The link to the set does not exist; its directory does.
    SetHasNoName,
}

impl Damage {
    fn script(self) -> &'static str {
        match self {
            Damage::OneIsMissing => "rm .$(sed -n 's/^options.* ostree=\\([^ ]*\\).*/\\1/p' boot/loader/entries/ostree-2*.conf)",
            Damage::OutOfStep => {
                "n=$(readlink boot/loader | tail -c 2); o=$((1 - n)); rm -f ostree/boot.$o; rm -rf ostree/boot.$o.?
                s=$(readlink ostree/boot.$n); mv ostree/$s ostree/boot.$o.0; rm ostree/boot.$n; ln -s boot.$o.0 ostree/boot.$o"
            }
            Damage::SetHasNoName => "rm ostree/boot.$(readlink boot/loader | tail -c 2)",
        }
    }
}

/// Who repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repairer {
    Ours,
    /// Ours, and none of its syncs reaches the disk.
    WithoutSyncs,
    /// The link to the set is removed before it is made again.
    RemovingFirst,
}

impl Repairer {
    fn command(self, root: &Path) -> Result<String> {
        let root = root.display();
        let ours =
            format!("{} repair bootlinks --root {root}", binary().context("FIRSTROOT_COMMAND is not set")?.display());
        Ok(match self {
            Repairer::Ours => ours,
            Repairer::WithoutSyncs => format!("strace -f -qq -o /dev/null -e inject=syncfs:retval=0 {ours}"),
            Repairer::RemovingFirst => format!(
                "cd {root}/ostree; n=$(readlink ../boot/loader | tail -c 2); old=$(readlink boot.$n); new=boot.$n.$((1 - ${{old##*.}}))
                 cp -a $old $new; l=$(sed -n 's/^options.* ostree=.ostree.boot.[01].\\([^ ]*\\).*/\\1/p' ../boot/loader/entries/ostree-2*.conf)
                 ln -s ../../../deploy/os/deploy/$(cat ../meant) $new/$l; sync -f .; rm boot.$n; sync -f .; ln -s $new boot.$n; sync -f ."
            ),
        })
    }
}

/// Each entry's boot link, and the deployment that it leads to; `None`: it does not exist.
type Links = BTreeMap<String, Option<PathBuf>>;

fn links(root: &Path) -> Result<Links> {
    let mut links = Links::new();
    for entry in fs::read_dir(root.join("boot/loader/entries"))? {
        let entry = BootEntry::parse(&fs::read_to_string(entry?.path())?);
        let link = entry.argument("ostree").context("an entry without ostree=")?.to_owned();
        let deployment = match fs::canonicalize(root.join(link.trim_start_matches('/'))) {
            Ok(path) => Some(path.strip_prefix(fs::canonicalize(root)?)?.to_path_buf()),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error).context(link),
        };
        links.insert(link, deployment);
    }
    Ok(links)
}

fn shell(root: &Path, script: &str) -> Result<()> {
    run(Command::new("sh").args(["-euc", script]).current_dir(root)).map(drop)
}

/// What there was before the damage, after it, and what is there now.
fn judge(whole: &Links, damaged: &Links, now: &Links, is_done: bool) -> Result<()> {
    ensure!(now.keys().eq(whole.keys()), "the entries are others: {now:?}");
    for (link, deployment) in now {
        let [meant, before] = [whole, damaged].map(|links| links.get(link).cloned().flatten());
        match deployment {
            None if before.is_some() => bail!("{link} was there before the repair, and is gone"),
            None if is_done => bail!("{link} is not there after the repair"),
            None => {}
            found if *found == meant => {}
            found => bail!("{link} leads to {found:?} and not to {meant:?}"),
        }
    }
    Ok(())
}

fn repaired(machine: &Machine, repairer: Repairer, begin: &str, end: &str) -> Result<()> {
    machine.with_disk(|root| shell(root, &format!("{begin}\n({})\n{end}", repairer.command(root)?)))
}

/// Records a repair and looks at what each power cut leaves. Returns how many were looked at.
fn every_power_cut(filesystem: Filesystem, damage: Damage, repairer: Repairer) -> Result<usize> {
    host::in_a_mount_namespace(|| {
        let story = disks::story(filesystem, Boot::Same, Entries::Change, Loader::Entries);
        let machine = story.staged(Guest::Trixie)?.copy()?;
        let (whole, damaged) = machine.with_disk(|root| {
            let whole = links(root)?;
            ensure!(whole.len() == 2 && whole.values().all(Option::is_some), "{whole:?}");
            let default = BootEntry::default_of(&root.join("boot"))?;
            let meant = whole.get(default.argument("ostree").unwrap_or_default()).cloned().flatten();
            fs::write(
                root.join("meant"),
                meant.context("the default")?.file_name().context("a name")?.as_encoded_bytes(),
            )?;
            shell(root, damage.script())?;
            Ok((whole, links(root)?))
        })?;
        ensure!(damaged.values().any(Option::is_none), "nothing is damaged");
        let scratch = Scratch::new()?;
        let directory = scratch.directory("recording")?;
        let (recording, ()) = Recording::while_running(machine, &directory, |machine, marks| {
            repaired(machine, repairer, &marks.begin_here, &marks.end_here)
        })?;
        let cuts = cuts(&recording, FEW);
        let mut states = States::of(&recording, &directory)?;
        for cut in &cuts {
            states.look(*cut, |root, is_done| {
                judge(&whole, &damaged, &links(root)?, is_done)?;
                shell(root, &Repairer::Ours.command(root)?).context("a second repair")?;
                judge(&whole, &whole, &links(root)?, true).context("after a second repair")
            })?;
        }
        Ok(cuts.len())
    })
}

/// Every power cut leaves links that lead where they should, or where they did not before.
pub(crate) fn every_power_cut_leaves_links_that_lead_right(filesystem: Filesystem, damage: Damage) -> Result<()> {
    let cuts = every_power_cut(filesystem, damage, Repairer::Ours)?;
    ensure!(cuts > 5, "only {cuts} power cuts were looked at");
    Ok(())
}

/// A repairer that is not careful is found out.
pub(crate) fn is_noticed(filesystem: Filesystem, repairer: Repairer) -> Result<()> {
    match every_power_cut(filesystem, Damage::OneIsMissing, repairer) {
        Err(error) if format!("{error:#}").contains("power cut ") => Ok(()),
        Err(error) => Err(error),
        Ok(cuts) => bail!("in {cuts} power cuts nobody noticed"),
    }
}
