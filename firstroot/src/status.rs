//! `firstroot status`: what is booted, what boots next and why, and what happened.

pub(crate) mod model;
mod read;
mod text;

use std::path::Path;

use crate::exit_status::{FAILED, Status};
use crate::place::Place;
use crate::show::print;

pub(crate) use read::read;
#[cfg(feature = "fuzzing")]
pub(crate) use read::recovered;

/// Prints it.
pub(crate) fn show(root: Option<&Path>, json: bool) -> Status {
    match Place::open(root, "status") {
        Ok(place) => {
            let status = read(&place, true);
            print::print(&status, json, |page| text::page(&status, page))
        }
        Err(error) => {
            log::error!("{error}");
            FAILED
        }
    }
}

#[cfg(test)]
pub(crate) fn as_text(status: &model::State) -> String {
    let mut page = crate::show::page::Page::default();
    text::page(status, &mut page);
    page.render(crate::show::terminal::PLAIN)
}
