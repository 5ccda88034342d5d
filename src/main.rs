//! The program: everything is in the library; see its `cli`.

fn main() -> std::process::ExitCode {
    holdall::run().into()
}
