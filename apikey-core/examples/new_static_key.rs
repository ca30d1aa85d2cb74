//! Makes a key and the entry by which a service knows it.
//!
//! ```console
//! $ cargo run -p apikey-core --example new_static_key -- acme_live ci files:read files:write
//! ```
//!
//! The first argument is what the service's keys start with: its format's prefix, and the environment if it declares
//! any. The others are the key's id and its scopes.

use std::{env, error::Error, process::ExitCode};

use apikey_core::{KeyFormat, KeyHasher, NewStaticKey};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [head, id, scopes @ ..] = &arguments[..] else {
        eprintln!("usage: new_static_key PREFIX[_ENVIRONMENT] ID [SCOPE…]");
        return ExitCode::from(2);
    };
    match make(head, id, scopes) {
        Ok(key) => {
            println!("The key, for its holder; it is kept nowhere:\n\n{}\n", key.secret().expose_secret());
            println!("Its entry for an environment variable (StaticKeys::from_env):\n\n{}\n", key.env_entry());
            print!("Its entry for a key file (StaticKeys::from_file):\n\n{}", key.toml_entry());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn make(head: &str, id: &str, scopes: &[String]) -> Result<NewStaticKey, Box<dyn Error>> {
    // Keys are read by position, so `acme` with the environment `live` and the prefix `acme_live` make the same keys.
    let format = KeyFormat::builder(head).build()?;
    // A service under a pepper hands its own hasher over here.
    Ok(NewStaticKey::generate(&format, &KeyHasher::sha256(), id, scopes)?)
}
