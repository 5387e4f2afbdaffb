//! Adds what the boot loader needs beside entries to a plan: pure.

use ostree_formats::bls::BlsEntry;
use ostree_formats::bootlink::Bootlink;
use ostree_formats::uboot::OfTrees;
use ostree_formats::{syslinux, uboot};
use ostree_sysroot::boot_loader::{BootLoader, GrubConfig};
use ostree_sysroot::foreign_file::LoaderPath;

use super::BootPlan;
use super::foreign::Kept;
use super::grub::GrubPlan;
use super::loader_file::LoaderFile;

/// As libostree writes them.
const READ_BY_ALL: u32 = 0o644;

impl BootPlan {
    /// Adds GRUB.
    pub fn add_grub(&mut self, grub: GrubPlan) {
        if grub.config == GrubConfig::InLoader {
            self.forget_kept(grub.output_name());
        }
        self.boot_loader = BootLoader::Grub(grub.config.clone());
        self.grub = Some(grub);
    }

    /// The boot link of the first deployment.
    pub fn default_bootlink(&self) -> Option<Bootlink> {
        self.list.first().map(|listed| listed.bootlink(self.bootversion))
    }

    /// Adds `syslinux.cfg`; `old` is its current text.
    pub fn add_syslinux(&mut self, old: &[u8], bootprefix: bool) {
        let prefix = if bootprefix { "" } else { "/boot" };
        let content = syslinux::with_entries(old, &self.read_entries(), prefix);
        self.set_loader(BootLoader::Syslinux, LoaderFile { name: "syslinux.cfg", content, mode: READ_BY_ALL });
    }

    /// Adds `uEnv.txt`; `old` is its current text.
    pub fn add_uboot(&mut self, old: &[u8], of_trees: OfTrees<'_>) {
        let entries = self.read_entries();
        for entry in &entries {
            let left_out: Vec<&str> = entry.values("initrd").skip(1).collect();
            if !left_out.is_empty() {
                self.loader_warnings.push(format!(
                    "U-Boot loads one initramfs: {:?} will boot without {}",
                    entry.get("title").unwrap_or_default(),
                    left_out.join(" ")
                ));
            }
        }
        let content = uboot::with_entries(old, &entries, of_trees);
        self.set_loader(BootLoader::Uboot, LoaderFile { name: "uEnv.txt", content, mode: READ_BY_ALL });
    }

    /// A file in `loader.N` is the boot loader's, and none of others that is kept.
    fn forget_kept(&mut self, name: &str) {
        let own = LoaderPath::beside(name.into());
        self.foreign.kept.retain(|kept| !matches!(kept, Kept::AsItIs { from, .. } if *from == own));
    }

    fn set_loader(&mut self, boot_loader: BootLoader, file: LoaderFile) {
        self.forget_kept(file.name);
        self.boot_loader = boot_loader;
        self.loader_file = Some(file);
    }

    /// The entries as a boot loader reads them.
    fn read_entries(&self) -> Vec<BlsEntry> {
        let read = |content: &String| BlsEntry::parse(content.as_bytes()).unwrap_or_default();
        self.entries.iter().map(|entry| read(&entry.content)).collect()
    }
}
