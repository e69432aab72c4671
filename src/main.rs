//! The binary: see the library for everything.

use std::process::ExitCode;

fn main() -> ExitCode {
    akamai_exporter::cli::run()
}
