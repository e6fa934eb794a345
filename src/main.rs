//! Parses the command line and hands over.
use std::process::ExitCode;

fn main() -> ExitCode {
    cozyup::cli::shield();
    cozyup::base::tls::install_provider();
    if let Err(e) = cozyup::cli::install_reports() {
        cozyup::cli::print_error(&e);
    }
    cozyup::cli::main()
}
