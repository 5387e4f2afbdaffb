//! What standard output is.

use rustix::termios::{isatty, tcgetwinsize};

/// The narrowest that lines are wrapped at.
const NARROWEST: usize = 40;

/// How text is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// With colours.
    pub(crate) colour: bool,
    /// At which column lines are wrapped; `None`: nowhere, because a program reads them.
    pub(crate) width: Option<usize>,
}

/// Of a pipe or a file.
pub(crate) const PLAIN: Terminal = Terminal { colour: false, width: None };

impl Terminal {
    /// That of this process: colours and width are for terminals only. `NO_COLOR` (no-color.org) and `TERM=dumb` switch colours off.
    pub(crate) fn of_this_process() -> Self {
        let output = rustix::stdio::stdout();
        if !isatty(output) {
            return PLAIN;
        }
        let size = tcgetwinsize(output).ok().map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0);
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { colour: !is_set("NO_COLOR") && !is_dumb, width: Some(size.unwrap_or(80).max(NARROWEST)) }
    }
}
