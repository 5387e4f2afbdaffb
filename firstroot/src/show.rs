//! Text for people: lines that fit the terminal, with colours where it has some.

pub(crate) mod page;
pub(crate) mod print;
pub(crate) mod terminal;
