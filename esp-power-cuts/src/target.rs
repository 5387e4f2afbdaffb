//! The FAT, as firstroot opens it, and the lists that are projected onto it.

use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use anyhow::{Context, Result};
use esp_projection::execute::Sources;
use esp_projection::execute::mounted::Mounted;
use esp_projection::list::{CopiedFrom, List, Listed, Payload, PayloadFile};
use esp_projection::plan::Step;
use esp_projection::projection::execute_on;
use esp_projection::read::devices::Partition;
use esp_projection::read::target::target;
use esp_projection::target::Target;
use ostree_formats::bls::BlsEntry;
use ostree_formats::projected_entry::Token;
use rustix::fs::{Mode, OFlags};

/// The files of all kernels, which the machine that runs this guest has put there.
const BOOT: &str = "/boot";

/// A deployment and its kernel, by a digit each.
pub(crate) type Numbered = (char, char);

/// The FAT.
pub(crate) struct Fat {
    mounted: Mounted,
    boot: OwnedFd,
}

impl Fat {
    /// Mounts it, as the shipped program does.
    pub(crate) fn open(device: &str) -> Result<Fat> {
        let stat = rustix::fs::stat(device).with_context(|| format!("looking up {device}"))?;
        let mounted = Mounted::open(&Partition { path: device.to_owned(), device: stat.st_rdev })?;
        let boot = rustix::fs::open(BOOT, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Fat { mounted, boot })
    }

    /// What is on it.
    pub(crate) fn target(&self) -> Result<Target> {
        Ok(target(&self.mounted, &token())?)
    }

    /// Executes steps, as the shipped program does.
    pub(crate) fn execute(&mut self, steps: &[Step]) -> Result<()> {
        let sources = Sources { boot: self.boot.as_fd(), sysroot: self.boot.as_fd() };
        Ok(execute_on(&mut self.mounted, sources, steps, &mut || ())?)
    }

    /// Its root directory, writable, for what is no projection.
    pub(crate) fn root(&mut self) -> Result<OwnedFd> {
        self.mounted.make_writable()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self.mounted.as_fd(), ".", flags, Mode::empty())?)
    }

    /// `/boot`.
    pub(crate) fn boot(&self) -> BorrowedFd<'_> {
        self.boot.as_fd()
    }
}

fn token() -> Token {
    Token::from_hash([7; 4])
}

/// A list, the default first.
pub(crate) fn list(deployments: &[Numbered], tries: u32) -> Result<List> {
    let deployments = deployments.iter().map(|one| listed(*one)).collect::<Result<Vec<Listed>>>()?;
    Ok(List {
        token: token(),
        deployments,
        unreadable: Vec::new(),
        staged: None,
        tries,
        trial_arguments: "panic=30 rd.emergency=reboot".to_owned(),
        is_further: false,
    })
}

fn listed((deployment, kernel): Numbered) -> Result<Listed> {
    let sum = |digit: char| digit.to_string().repeat(64);
    if let Ok(image) = fs::read_to_string(format!("{BOOT}/images/{kernel}")) {
        return with_image(deployment, &image);
    }
    let directory = format!("ostree/os-{}", sum(kernel));
    let overlay = format!("ostree/initramfs-overlays/{}.img", sum('f'));
    let text = format!(
        "title Debian {deployment} (ostree:0)\nversion 1\noptions rw ostree=/ostree/boot.1/os/{}/0\n\
         linux /{directory}/vmlinuz\ninitrd /{directory}/initramfs.img /{overlay}\n",
        sum(kernel)
    );
    let mut files = Vec::new();
    for path in ["dtb/vendor/a.dtb", "initramfs.img", "vmlinuz"] {
        files.push(PayloadFile { path: path.to_owned(), size: size(&directory, path)?, from: CopiedFrom::Boot });
    }
    let overlay = PayloadFile { size: size("", &overlay)?, path: overlay, from: CopiedFrom::Boot };
    Ok(Listed {
        deployment: format!("ostree/deploy/os/deploy/{}.0", sum(deployment)).parse()?,
        entry: BlsEntry::parse(text.as_bytes())?,
        payloads: vec![Payload::Directory { path: directory, files }, Payload::File(overlay)],
        can_bless: true,
        is_booted: false,
    })
}

/// One that boots an image, of which this is the path and the checksum.
fn with_image(deployment: char, image: &str) -> Result<Listed> {
    let (path, sum) = image.split_once(' ').context("a path and a checksum")?;
    let (directory, name) = path.rsplit_once('/').context("a directory and a name")?;
    let text = format!("title Debian {deployment} (ostree:0)\nversion 1\noptions rw\nlinux /{path}\n");
    let addon = format!("{name}.extra.d/a.addon.efi");
    let files = vec![
        PayloadFile {
            path: name.to_owned(),
            size: size(directory, name)?,
            from: CopiedFrom::Tree { path: path.to_owned(), sum: Some(sum.parse()?) },
        },
        PayloadFile { size: size(directory, &addon)?, path: addon, from: CopiedFrom::Boot },
    ];
    Ok(Listed {
        deployment: format!("ostree/deploy/os/deploy/{}.0", deployment.to_string().repeat(64)).parse()?,
        entry: BlsEntry::parse(text.as_bytes())?,
        payloads: vec![Payload::Directory { path: directory.to_owned(), files }],
        can_bless: true,
        is_booted: false,
    })
}

fn size(directory: &str, path: &str) -> Result<u64> {
    let path = Path::new(BOOT).join(directory).join(path);
    Ok(fs::metadata(&path).with_context(|| format!("looking up {}", path.display()))?.len())
}
