//! A disk on which a story has happened, made once.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use qemu_tests::cache::{Artefact, Cache, Recipe};
use qemu_tests::guest::Guest;
use qemu_tests::namespace::Namespace;
use qemu_tests::rootfs::Rootfs;

use super::finalization::Contestant;
use super::machine::{CMDLINE, Machine, TOOLS};
use super::story::{Boot, Step, Story};

const SMALL_TREE: &str = include_str!("../../guest/small-tree.sh");
const FUNCTIONS: &str = include_str!("../../guest/story.sh");

/// Everything that makes a disk what it is, besides its story.
const MADE_BY: &[&str] = &[
    include_str!("staged_disk.rs"),
    include_str!("story.rs"),
    include_str!("../../guest/booted.sh"),
    SMALL_TREE,
    FUNCTIONS,
    TOOLS,
];

/// The images of a system as its story left it, with what was in `/run/ostree`: in the cache, to be copied.
#[derive(Clone, Debug)]
pub struct StagedDisk {
    artefact: Artefact,
    rootfs: Rootfs,
    story: Story,
}

impl Story {
    /// The disk of this story, with `guest`'s `ostree`.
    pub fn staged(&self, guest: Guest) -> Result<StagedDisk> {
        let cache = Cache::open()?;
        let rootfs = Rootfs::of(guest, &cache)?;
        let recipe = MADE_BY.iter().fold(Recipe::new("staged disk"), |recipe, text| recipe.with("made by", text));
        let recipe = self.add_to(recipe).made_from(rootfs.artefact());
        let name = format!("staged-{guest}-{}", self.name);
        let artefact = cache.artefact(&name, &recipe, |directory| {
            let machine = Machine::empty(&rootfs, self)?;
            install(&machine, &rootfs, self).context("installing")?;
            machine.boot_default()?;
            for (number, step) in self.steps.iter().enumerate() {
                take(step, &machine).with_context(|| format!("step {number} of the story"))?;
            }
            machine.copy_to(directory)
        })?;
        Ok(StagedDisk { artefact, rootfs, story: self.clone() })
    }
}

impl StagedDisk {
    /// A machine with a copy of it, to be changed.
    pub fn copy(&self) -> Result<Machine> {
        Machine::copied(self.artefact.path(), &self.rootfs, &self.story)
    }
}

fn take(step: &Step, machine: &Machine) -> Result<()> {
    match step {
        Step::Run(script) => machine.check(script).map(drop),
        Step::BootDefault => machine.boot_default(),
        Step::Reboot => {
            let finalized = machine.finalize(Contestant::Peer)?;
            finalized.outcome.success()?;
            machine.boot_default()
        }
    }
}

/// Makes filesystems, commits and the first deployment.
fn install(machine: &Machine, rootfs: &Rootfs, story: &Story) -> Result<()> {
    story.filesystem.make(&machine.root_image(), &story.root_size)?;
    if let Boot::Separate(filesystem) = story.boot {
        filesystem.make(&machine.boot_image(), &story.boot_size)?;
    }
    machine.with_new_disk(|root| {
        Namespace::of(&rootfs.path())
            .bound(Path::new("/usr"), "/run/fixture/host/usr")
            .mounted(&format!("--rbind '{}'", root.display()), "/target")
            .run(&script(story))
            .map(drop)
    })?;
    fs::write(machine.path(CMDLINE), "").context("writing the command line")
}

fn script(story: &Story) -> String {
    let mut script = format!(
        "{TOOLS}\nexport PATH=/run/fixture/tools:$PATH\n\
         kernel_bytes={}\ninitramfs_bytes={}\n{FUNCTIONS}\n\
         ostree admin init-fs --modern /target\n\
         ostree --repo=/target/ostree/repo config set sysroot.bootloader none\n",
        story.kernel_bytes, story.initramfs_bytes
    );
    for (key, value) in &story.repo_config {
        script += &format!("ostree --repo=/target/ostree/repo config set '{key}' '{value}'\n");
    }
    script += &format!(
        "ostree admin os-init --sysroot=/target os\n\
         mkdir /tree\ncd /tree\n{SMALL_TREE}\n(\n:\n{}\n)\ncommit os/stable 1\n",
        story.first_tree
    );
    let arguments: Vec<String> = story.arguments.iter().map(|argument| format!("--karg-append='{argument}'")).collect();
    script += &format!(
        "ostree admin deploy --sysroot=/target --os=os {} os/stable\n{}\n",
        arguments.join(" "),
        story.installed
    );
    script += "cd /tree\n";
    for tree in &story.trees {
        script += &format!("(\n:\n{}\n)\ncommit '{}' '{}'\n", tree.edit, tree.branch, tree.version);
    }
    script
}
