//! The program: everything is in the library; see [`holdall::cli`].

fn main() -> std::process::ExitCode {
    holdall::cli::run::run().into()
}
