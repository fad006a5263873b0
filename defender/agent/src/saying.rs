//! What the Defender tells people: lines on standard error.
use std::{
    fmt,
    io::{self, Write as _},
};

/// Prints one line on standard error, like `eprintln!`, but in one piece.
///
/// The application writes to the same pipe. `eprintln!` makes a write of each fragment, and what the application writes in
/// between would end up in the middle of our line, and ours in the middle of its own.
#[macro_export]
macro_rules! say {
    ($($part:tt)*) => { $crate::saying::line(format_args!($($part)*)) };
}

/// Writes `text` and a line end with one call: up to 4096 bytes arrive whole (`PIPE_BUF`, pipe(7)).
pub fn line(text: fmt::Arguments<'_>) {
    let line = format!("{text}\n");
    // Nobody is left to tell when standard error is closed.
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
