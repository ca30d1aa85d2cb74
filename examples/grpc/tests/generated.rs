//! The code in `src/generated` is that of `proto/ledger.proto`. This says so, and makes it again:
//!
//! ```console
//! $ cargo test -p grpc --features generate --test generated
//! $ UPDATE=1 cargo test -p grpc --features generate --test generated
//! ```

use std::{env, fs, path::Path};

#[test]
fn given_the_protocol_when_its_code_is_generated_then_it_is_the_code_that_is_here() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let made = tempfile::tempdir().unwrap();
    // A compiler in Rust, so that `protoc` is not needed.
    let protocol = protox::compile(["ledger.proto"], [package.join("proto")]).unwrap();
    tonic_prost_build::configure().out_dir(made.path()).compile_fds(protocol).unwrap();

    let made = fs::read_to_string(made.path().join("ledger.v1.rs")).unwrap();
    let kept = package.join("src/generated/ledger.v1.rs");
    if env::var_os("UPDATE").is_some() {
        fs::write(&kept, made).unwrap();
    } else {
        assert!(fs::read_to_string(kept).unwrap() == made, "made by another protocol, or another generator");
    }
}
