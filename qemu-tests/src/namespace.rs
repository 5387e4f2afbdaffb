//! Running a guest's own programs without a virtual machine: a chroot in mount and PID namespaces of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::command::run;

/// A guest's root filesystem to run programs in. Nothing that they change there is kept: the directory is the lower layer
/// of an overlay whose upper layer is a tmpfs. What is to be kept goes to a bound directory.
#[derive(Clone, Debug)]
pub struct Namespace {
    layers: Vec<PathBuf>,
    mounts: Vec<String>,
}

impl Namespace {
    /// The root filesystem `rootfs`.
    pub fn of(rootfs: &Path) -> Namespace {
        Namespace { layers: vec![rootfs.to_path_buf()], mounts: Vec::new() }
    }

    /// Lays the directory tree `layer` over it.
    #[must_use]
    pub fn overlaid_with(mut self, layer: &Path) -> Namespace {
        self.layers.insert(0, layer.to_path_buf());
        self
    }

    /// Shows the host's `directory` at `target` (a path inside).
    #[must_use]
    pub fn bound(self, directory: &Path, target: &str) -> Namespace {
        self.mounted(&format!("--bind {}", quoted(directory)), target)
    }

    /// Runs `mount ARGUMENTS TARGET` before the program; `target` is a path inside and is created.
    #[must_use]
    pub fn mounted(mut self, arguments: &str, target: &str) -> Namespace {
        let target = target.trim_start_matches('/');
        self.mounts.push(format!("mkdir -p \"$root/{target}\"\nmount {arguments} \"$root/{target}\""));
        self
    }

    /// Runs a shell command outside, with `$scratch` a directory that is gone afterwards, before later mounts.
    #[must_use]
    pub fn prepared_by(mut self, command: &str) -> Namespace {
        self.mounts.push(command.to_owned());
        self
    }

    /// Runs a shell script inside, that stops at the first error, and returns what it wrote to standard output.
    pub fn run(&self, script: &str) -> Result<String> {
        // In overlayfs' option a colon separates layers; our paths have none.
        let layers: Vec<String> = self.layers.iter().map(|layer| layer.display().to_string()).collect();
        let outer = format!(
            "set -eu\n\
             scratch=$(mktemp -d)\n\
             mount -t tmpfs -o mode=0755 scratch \"$scratch\"\n\
             mkdir \"$scratch/upper\" \"$scratch/work\" \"$scratch/root\"\n\
             root=$scratch/root\n\
             mount -t overlay -o \"lowerdir=$layers,upperdir=$scratch/upper,workdir=$scratch/work\" root \"$root\"\n\
             mount -t proc proc \"$root/proc\"\n\
             mount -t sysfs sysfs \"$root/sys\"\n\
             mount --rbind /dev \"$root/dev\"\n\
             mount -t tmpfs run \"$root/run\"\n\
             {}\n\
             status=0\n\
             chroot \"$root\" /usr/bin/env -i PATH=/usr/sbin:/usr/bin LC_ALL=C.UTF-8 HOME=/root \
                 sh -euc \"$script\" || status=$?\n\
             umount --recursive --lazy \"$scratch\"\n\
             rmdir \"$scratch\"\n\
             exit $status\n",
            self.mounts.join("\n"),
        );
        // A PID namespace of its own: `ostree` compares its mount namespace with process 1's.
        run(Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", &outer])
            .env("layers", layers.join(":"))
            .env("script", script))
    }
}

/// `path` as one word of a shell script.
pub fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_survive_the_shell() {
        let word = quoted(Path::new("/it's here"));
        assert_eq!(run(Command::new("sh").args(["-c", &format!("printf %s {word}")])).unwrap(), "/it's here");
    }
}
