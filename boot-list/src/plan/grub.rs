//! What is done for a GRUB whose menu a program writes: values.

use ostree_sysroot::boot_loader::GrubConfig;

/// What was found out about GRUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubPlan {
    /// The program; `None`: there is none.
    pub program: Option<String>,
    /// Where its output is.
    pub config: GrubConfig,
    /// GRUB reads boot loader entries, so that an old menu does no harm.
    pub reads_entries: bool,
    /// The current menu has boot links in it, so the new one must have that of the default.
    pub has_bootlinks: bool,
}

impl GrubPlan {
    /// The name of the file that the program writes, in the directory of [`GrubConfig`].
    pub fn output_name(&self) -> &'static str {
        match self.config {
            GrubConfig::InLoader => "grub.cfg",
            // Beside the current one, which it replaces later.
            GrubConfig::OnEsp(_) => "grub.cfg.new",
        }
    }

    /// The file that the program writes, for a list in `loader_directory`.
    pub fn output(&self, loader_directory: &str) -> String {
        let directory = match &self.config {
            GrubConfig::InLoader => loader_directory,
            GrubConfig::OnEsp(directory) => directory,
        };
        format!("/boot/{directory}/{}", self.output_name())
    }

    /// The command that writes the menu of the active list.
    pub fn command(&self) -> String {
        let program = self.program.as_deref().unwrap_or("grub2-mkconfig");
        let program = program.rsplit('/').next().unwrap_or(program);
        match &self.config {
            GrubConfig::InLoader => format!("{program} -o /boot/loader/grub.cfg"),
            GrubConfig::OnEsp(directory) => format!("{program} -o /boot/{directory}/grub.cfg"),
        }
    }
}
