//! `esp status`: what is on the ESP, what boots next and why, and what defeats the rollback.

mod model;
mod read;
mod text;

use super::failure;
use crate::exit_status::{SUCCESS, Status};
use crate::show::print;

pub(super) fn status(json: bool) -> Status {
    let mut status = SUCCESS;
    let printed = read::read().map(|state| status = print::print(&state, json, |page| text::page(&state, page)));
    match failure::report(printed) {
        SUCCESS => status,
        failed => failed,
    }
}
