//! Labels of paths, as a user of the crate gets them.

#[cfg(test)]
mod bad_lines;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod order;
#[cfg(test)]
mod paths;
#[cfg(test)]
mod policies;
#[cfg(test)]
mod regexes;
