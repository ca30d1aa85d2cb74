//! With the feature `generate`, checks that the code in `src/generated` matches `proto/ledger.proto`, or generates it
//! again:
//!
//! ```console
//! $ cargo check -p grpc --features generate
//! $ UPDATE=1 cargo check -p grpc --features generate
//! ```
//!
//! It is not a test, because tests can only run once the generated code compiles.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "generate")]
    generated::check()?;
    Ok(())
}

#[cfg(feature = "generate")]
mod generated {
    use std::{env, error::Error, fs, path::Path};

    const KEPT: &str = "src/generated/ledger.v1.rs";

    pub(super) fn check() -> Result<(), Box<dyn Error>> {
        println!("cargo::rerun-if-changed=proto");
        println!("cargo::rerun-if-changed=src/generated");
        println!("cargo::rerun-if-env-changed=UPDATE");
        // A compiler written in Rust, so that `protoc` is not needed.
        let protocol = protox::compile(["ledger.proto"], ["proto"])?;
        tonic_prost_build::configure().compile_fds(protocol)?;

        let made = fs::read_to_string(Path::new(&env::var("OUT_DIR")?).join("ledger.v1.rs"))?;
        if env::var_os("UPDATE").is_some() {
            fs::write(KEPT, made)?;
        } else if fs::read_to_string(KEPT).ok() != Some(made) {
            return Err(format!("{KEPT} is not the code of proto/ledger.proto: see build.rs").into());
        }
        Ok(())
    }
}
