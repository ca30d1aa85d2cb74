//! Computes a key's digests: the hash, the accepted peppers, and the one that issues.
//!
//! [`KeyDigest`] is the value. Resolvers store and find it.

use std::{env, fmt, fs, iter, path::Path, sync::Arc};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::key::{
    digest::{DigestAlgorithm, KeyDigest, parse_version},
    pepper::{Pepper, PepperError},
    plaintext::PlaintextKey,
};

/// Computes the digests under which keys are stored and found.
///
/// ```
/// use apikey_core::{KeyHasher, Pepper, PlaintextKey};
///
/// let (old, new) = (Pepper::new(1, &[1; 32])?, Pepper::new(2, &[2; 32])?);
/// let hasher = KeyHasher::hmac_sha256(new).accept(old)?;
///
/// let key: PlaintextKey = "tork_live_6dNrQ3vLq0bT".parse()?;
/// assert_eq!(hasher.digest(&key).algorithm().to_string(), "hmac-sha256:v2");
/// assert_eq!(hasher.digests(&key).len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// One algorithm issues: new keys are stored under it. Others may be accepted besides, and a key is
/// then looked up under all of them. So a pepper changes in three deployments, none of which needs
/// to reach all nodes at once: accept the new one everywhere, let it issue, and when no digest of
/// the old one is left, drop the old one.
///
/// Cloning is cheap and shares the prepared secrets.
///
/// # Security
///
/// SHA-256 without a pepper is safe for keys of at least 128 random bits, which cannot be guessed;
/// a pepper also keeps someone who can *write* the table from adding a key of their own.
#[derive(Clone)]
pub struct KeyHasher {
    /// The first one issues.
    accepted: Arc<[Algorithm]>,
}

#[derive(Clone)]
enum Algorithm {
    Sha256,
    Peppered(Arc<Pepper>),
}

impl KeyHasher {
    /// Creates a hasher with plain SHA-256, the default.
    ///
    /// ```
    /// use apikey_core::KeyHasher;
    ///
    /// let digest = KeyHasher::sha256().digest(&"abc".parse()?);
    /// assert!(digest.to_string().starts_with("sha256:ba7816bf"));
    /// # Ok::<(), apikey_core::NotToken68>(())
    /// ```
    #[must_use]
    pub fn sha256() -> Self {
        Self { accepted: Arc::new([Algorithm::Sha256]) }
    }

    /// Creates a hasher with HMAC-SHA-256 under a pepper that issues and is accepted.
    ///
    /// ```
    /// use apikey_core::{KeyHasher, Pepper};
    ///
    /// let hasher = KeyHasher::hmac_sha256(Pepper::new(1, &[1; 32])?);
    /// assert_eq!(format!("{hasher:?}"), "KeyHasher([hmac-sha256:v1])");
    /// # Ok::<(), apikey_core::PepperError>(())
    /// ```
    #[must_use]
    pub fn hmac_sha256(pepper: Pepper) -> Self {
        Self { accepted: Arc::new([Algorithm::Peppered(Arc::new(pepper))]) }
    }

    /// Accepts keys stored under another pepper, which doesn't issue.
    ///
    /// ```
    /// use apikey_core::{KeyHasher, Pepper};
    ///
    /// let hasher = KeyHasher::sha256().accept(Pepper::new(1, &[1; 32])?)?;
    /// assert_eq!(format!("{hasher:?}"), "KeyHasher([sha256, hmac-sha256:v1])");
    /// # Ok::<(), apikey_core::PepperError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if a pepper of the same version is accepted already: digests name only the version, so two
    /// secrets can't share one.
    pub fn accept(self, pepper: Pepper) -> Result<Self, PepperError> {
        let algorithm = Algorithm::Peppered(Arc::new(pepper));
        if self.accepts_algorithm(algorithm.name()) {
            return Err(PepperError::new(format!("{} is given more than once", algorithm.name())));
        }
        Ok(self.with(algorithm))
    }

    /// Accepts keys stored as plain SHA-256, while a service moves to a pepper.
    ///
    /// ```
    /// use apikey_core::{KeyHasher, Pepper};
    ///
    /// let hasher = KeyHasher::hmac_sha256(Pepper::new(1, &[1; 32])?).accept_sha256();
    /// assert_eq!(format!("{hasher:?}"), "KeyHasher([hmac-sha256:v1, sha256])");
    /// # Ok::<(), apikey_core::PepperError>(())
    /// ```
    ///
    /// # Security
    ///
    /// As long as it is accepted, whoever can write the table can add a key without the pepper.
    #[must_use]
    pub fn accept_sha256(self) -> Self {
        if self.accepts_algorithm(DigestAlgorithm::Sha256) {
            return self;
        }
        self.with(Algorithm::Sha256)
    }

    /// Reads peppers as [`parse`](Self::parse) does, from an environment variable.
    ///
    /// ```no_run
    /// # use apikey_core::KeyHasher;
    /// // API_PEPPERS=v2:<64 hex digits>,v1:<64 hex digits>
    /// let hasher = KeyHasher::from_env("API_PEPPERS")?;
    /// # Ok::<(), apikey_core::PepperError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the variable is not set, is not UTF-8 or doesn't parse. The message names the variable.
    pub fn from_env(var: &str) -> Result<Self, PepperError> {
        let text = match env::var(var) {
            Ok(text) => Zeroizing::new(text),
            Err(env::VarError::NotPresent) => {
                return Err(PepperError::new("the variable is not set".to_owned()).at(var));
            }
            // Its cause would carry the value.
            Err(env::VarError::NotUnicode(_)) => {
                return Err(PepperError::new("the variable is not UTF-8".to_owned()).at(var));
            }
        };
        Self::parse(&text).map_err(|error| error.at(var))
    }

    /// Reads peppers as [`parse`](Self::parse) does, from a file, such as a mounted secret.
    ///
    /// ```no_run
    /// # use apikey_core::KeyHasher;
    /// let hasher = KeyHasher::from_file("/run/secrets/api-peppers")?;
    /// # Ok::<(), apikey_core::PepperError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns an error if the file can't be read (the cause is the source) or doesn't parse. The message names
    /// the path.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, PepperError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(PepperError::unreadable);
        text.and_then(|text| Self::parse(&text)).map_err(|error| error.at(path.display()))
    }

    /// Reads entries `v2:<hex of at least 32 bytes>`, separated by newlines or commas.
    ///
    /// ```
    /// use apikey_core::KeyHasher;
    ///
    /// let (new, old) = ("22".repeat(32), "11".repeat(32));
    /// let hasher = KeyHasher::parse(&format!("v2:{new}\nv1:{old}\nsha256\n"))?;
    /// assert_eq!(
    ///     format!("{hasher:?}"),
    ///     "KeyHasher([hmac-sha256:v2, hmac-sha256:v1, sha256])",
    /// );
    ///
    /// let error = KeyHasher::parse("v1:c0ffee").unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "entry 1 on line 1: the secret has 3 bytes, at least 32 are needed",
    /// );
    /// # Ok::<(), apikey_core::PepperError>(())
    /// ```
    ///
    /// The first entry issues, the others are accepted. The entry `sha256` accepts keys stored
    /// without a pepper and can't come first. Space around entries and empty entries are skipped;
    /// hex digits may be of either case.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no entry, or one is malformed, too short or of a version given before. The
    /// message says which entry, counted from 1 on its line, and why; it never contains a secret.
    pub fn parse(text: &str) -> Result<Self, PepperError> {
        let mut hasher: Option<Self> = None;
        for (line, entries) in (1..).zip(text.lines()) {
            let entries = entries.split(',').map(str::trim);
            for (at, entry) in (1..).zip(entries.filter(|entry| !entry.is_empty())) {
                hasher = match parse_entry(hasher, entry) {
                    Ok(hasher) => Some(hasher),
                    Err(error) => return Err(error.at(format_args!("entry {at} on line {line}"))),
                };
            }
        }
        hasher.ok_or_else(|| PepperError::new("no pepper is given".to_owned()))
    }

    /// Returns the digest under which a new key is stored.
    ///
    /// ```
    /// # use apikey_core::{KeyHasher, PlaintextKey};
    /// let key: PlaintextKey = "tork_live_6dNrQ3vLq0bT".parse()?;
    /// assert!(KeyHasher::default().digest(&key).to_string().starts_with("sha256:"));
    /// # Ok::<(), apikey_core::NotToken68>(())
    /// ```
    ///
    /// The whole key is hashed, prefix and checksum included.
    #[must_use]
    pub fn digest(&self, key: &PlaintextKey) -> KeyDigest {
        self.accepted[0].digest(key)
    }

    /// Returns every digest under which the key may be stored: one for each accepted algorithm, the issuing one first.
    ///
    /// ```
    /// # use apikey_core::{KeyHasher, Pepper, PlaintextKey};
    /// let hasher = KeyHasher::hmac_sha256(Pepper::new(1, &[1; 32])?).accept_sha256();
    /// let key: PlaintextKey = "tork_live_6dNrQ3vLq0bT".parse()?;
    /// let digests = hasher.digests(&key);
    /// assert_eq!(digests[0], hasher.digest(&key));
    /// assert_eq!(digests[1], KeyHasher::sha256().digest(&key));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn digests(&self, key: &PlaintextKey) -> Vec<KeyDigest> {
        let accepted = self.accepted.iter();
        accepted.map(|algorithm| algorithm.digest(key)).collect()
    }

    /// Returns `true` if keys stored under this digest can be found: its algorithm is accepted.
    ///
    /// ```
    /// use apikey_core::{KeyDigest, KeyHasher, PepperVersion};
    ///
    /// let hasher = KeyHasher::sha256();
    /// assert!(hasher.accepts(&KeyDigest::sha256_from_bytes([0; 32])));
    /// let retired = KeyDigest::hmac_sha256_from_bytes(PepperVersion::new(1), [0; 32]);
    /// assert!(!hasher.accepts(&retired));
    /// ```
    ///
    /// This doesn't check a key.
    #[must_use]
    pub fn accepts(&self, digest: &KeyDigest) -> bool {
        self.accepts_algorithm(digest.algorithm())
    }

    fn accepts_algorithm(&self, name: DigestAlgorithm) -> bool {
        self.accepted.iter().any(|accepted| accepted.name() == name)
    }

    fn with(&self, algorithm: Algorithm) -> Self {
        let accepted = self.accepted.iter().cloned();
        Self { accepted: accepted.chain(iter::once(algorithm)).collect() }
    }
}

impl Default for KeyHasher {
    fn default() -> Self {
        Self::sha256()
    }
}

impl fmt::Debug for KeyHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHasher([")?;
        for (at, algorithm) in self.accepted.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{}", algorithm.name())?;
        }
        f.write_str("])")
    }
}

impl Algorithm {
    fn name(&self) -> DigestAlgorithm {
        match self {
            Self::Sha256 => DigestAlgorithm::Sha256,
            Self::Peppered(pepper) => DigestAlgorithm::HmacSha256 { pepper: pepper.version() },
        }
    }

    fn digest(&self, key: &PlaintextKey) -> KeyDigest {
        let key = key.expose_secret();
        match self {
            Self::Sha256 => KeyDigest::sha256_from_bytes(Sha256::digest(key).into()),
            Self::Peppered(pepper) => pepper.digest(key),
        }
    }
}

/// Adds one entry to the hasher of the entries before it.
fn parse_entry(before: Option<KeyHasher>, entry: &str) -> Result<KeyHasher, PepperError> {
    if entry == "sha256" {
        return before
            .map(KeyHasher::accept_sha256)
            .ok_or_else(|| PepperError::new("`sha256` can't come first, the first entry issues".to_owned()));
    }
    let (version, hex) =
        entry.split_once(':').ok_or_else(|| PepperError::new("neither `v<version>:<hex>` nor `sha256`".to_owned()))?;
    let version = parse_version(version)
        .ok_or_else(|| PepperError::new("the version is not `v` and a number below 2^32".to_owned()))?;
    let secret = base16ct::mixed::decode_vec(hex)
        .map(Zeroizing::new)
        .map_err(|_| PepperError::new("the secret is not pairs of hex digits".to_owned()))?;
    let pepper = Pepper::new(version.get(), &secret)?;
    match before {
        None => Ok(KeyHasher::hmac_sha256(pepper)),
        Some(hasher) => hasher.accept(pepper),
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    fn key(text: &str) -> PlaintextKey {
        text.parse().unwrap()
    }

    fn pepper(version: u32, byte: u8) -> Pepper {
        Pepper::new(version, &[byte; 32]).unwrap()
    }

    fn hex(byte: u8) -> String {
        base16ct::lower::encode_string(&[byte; 32])
    }

    #[test]
    fn given_published_vectors_when_hashed_then_the_digests_match() {
        // FIPS 180-4 example; RFC 4231 has no vector with a token68 message and a secret this long,
        // so HMAC is checked against RFC 2104 §2 spelled out.
        assert_eq!(
            KeyHasher::sha256().digest(&key("abc")).to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        for length in [32, 33, 64, 65, 131] {
            let secret: Vec<u8> = (0..length).collect();
            let mut block = [0; 64];
            if secret.len() > 64 {
                block[..32].copy_from_slice(&Sha256::digest(&secret));
            } else {
                block[..secret.len()].copy_from_slice(&secret);
            }
            let first = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(b"tork_live_abc");
            let second = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(first.finalize());
            let expected = KeyDigest::hmac_sha256_from_bytes(crate::PepperVersion::new(4), second.finalize().into());
            let hasher = KeyHasher::hmac_sha256(Pepper::new(4, &secret).unwrap());
            assert_eq!(hasher.digest(&key("tork_live_abc")), expected);
        }
    }

    #[test]
    fn given_several_peppers_when_hashed_then_the_first_issues_and_all_are_tried() {
        let hasher = KeyHasher::hmac_sha256(pepper(9, 9)).accept(pepper(1, 1)).unwrap().accept_sha256().accept_sha256();
        let key = key("tsk_test_x");
        let digests = hasher.digests(&key);
        assert_eq!(digests.len(), 3);
        assert_eq!(digests[0], hasher.digest(&key));
        assert_eq!(digests[1], KeyHasher::hmac_sha256(pepper(1, 1)).digest(&key));
        assert_eq!(digests[2], KeyHasher::sha256().digest(&key));
        assert!(digests.iter().all(|digest| hasher.accepts(digest)));
        let other = KeyHasher::hmac_sha256(pepper(2, 1)).digest(&key);
        assert!(!hasher.accepts(&other));
        assert_ne!(other.as_bytes(), digests[0].as_bytes());
        assert_eq!(other.as_bytes(), digests[1].as_bytes());
    }

    #[test]
    fn given_sha256_issuing_when_a_pepper_is_accepted_then_sha256_still_issues() {
        let hasher = KeyHasher::default().accept(pepper(1, 1)).unwrap();
        let key = key("k");
        assert_eq!(hasher.digest(&key), KeyHasher::sha256().digest(&key));
        assert_eq!(hasher.digests(&key).len(), 2);
        assert_eq!(KeyHasher::sha256().accept_sha256().digests(&key).len(), 1);
    }

    #[test]
    fn given_a_version_twice_when_accepted_then_it_is_refused() {
        let error = KeyHasher::hmac_sha256(pepper(1, 1)).accept(pepper(1, 2)).unwrap_err();
        assert_eq!(error.to_string(), "hmac-sha256:v1 is given more than once");
    }

    #[test]
    fn given_a_secret_when_shorter_than_32_bytes_then_it_is_refused() {
        for length in [0, 1, 31] {
            let error = Pepper::new(1, &vec![7; length]).unwrap_err();
            assert!(error.to_string().contains("at least 32"), "{error}");
        }
        assert!(Pepper::new(1, &[7; 32]).is_ok());
        assert!(Pepper::new(1, &[7; 1000]).is_ok());
    }

    #[test]
    fn given_entries_when_parsed_then_order_decides_who_issues() {
        let (one, two) = (hex(1), hex(2));
        let cases = [
            (format!("v1:{one}"), "hmac-sha256:v1"),
            (format!("v2:{two},v1:{one}"), "hmac-sha256:v2, hmac-sha256:v1"),
            (format!("v1:{one}\nv2:{two}\n"), "hmac-sha256:v1, hmac-sha256:v2"),
            (format!("\r\n\r\n v0:{one} \r\n,\r\n"), "hmac-sha256:v0"),
            (format!("v1:{one}, sha256"), "hmac-sha256:v1, sha256"),
            (format!("v1:{},sha256,v2:{two}", one.to_uppercase()), "hmac-sha256:v1, sha256, hmac-sha256:v2"),
        ];
        for (text, algorithms) in cases {
            let hasher = KeyHasher::parse(&text).unwrap();
            assert_eq!(format!("{hasher:?}"), format!("KeyHasher([{algorithms}])"));
        }
        let key = key("k");
        let parsed = KeyHasher::parse(&format!("v1:{}", hex(0xab))).unwrap();
        assert_eq!(parsed.digest(&key), KeyHasher::hmac_sha256(pepper(1, 0xab)).digest(&key));
    }

    #[test]
    fn given_bad_entries_when_parsed_then_the_message_says_where_and_why_without_the_secret() {
        let good = hex(0xcd);
        let cases = [
            (String::new(), "no pepper is given"),
            (" \n , \n".to_owned(), "no pepper is given"),
            ("sha256".to_owned(), "entry 1 on line 1: `sha256` can't come first"),
            (good.clone(), "entry 1 on line 1: neither"),
            (format!("2:{good}"), "entry 1 on line 1: the version"),
            (format!("v02:{good}"), "entry 1 on line 1: the version"),
            (format!("v4294967296:{good}"), "entry 1 on line 1: the version"),
            (format!("{good}:v1"), "entry 1 on line 1: the version"),
            (format!("v1:{good}0"), "entry 1 on line 1: the secret is not pairs"),
            (format!("v1:{good}xy"), "entry 1 on line 1: the secret is not pairs"),
            (format!("v1: {good}"), "entry 1 on line 1: the secret is not pairs"),
            ("v1:cdcdcd".to_owned(), "entry 1 on line 1: the secret has 3 bytes"),
            ("v1:".to_owned(), "entry 1 on line 1: the secret has 0 bytes"),
            (format!("\nv1:{good},v1:{good}"), "entry 2 on line 2: hmac-sha256:v1 is given"),
            (format!("v1:{good}\nsha512"), "entry 1 on line 2: neither"),
        ];
        for (text, expected) in cases {
            let error = KeyHasher::parse(&text).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with(expected), "{message:?} for {text:?}");
            assert!(!format!("{message} {error:?}").contains("cdcd"));
        }
    }

    #[test]
    fn given_the_environment_when_the_variable_is_missing_or_bad_then_it_is_named() {
        let error = KeyHasher::from_env("APIKEY_CORE_NO_SUCH_VARIABLE").unwrap_err();
        assert_eq!(error.to_string(), "APIKEY_CORE_NO_SUCH_VARIABLE: the variable is not set");
        let error = KeyHasher::from_env("PATH").unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("PATH: entry 1 on line 1: "), "{message}");
        assert!(!message.contains(&env::var("PATH").unwrap()));
    }

    #[test]
    fn given_a_file_when_read_then_it_parses_or_the_path_is_named() {
        let path = env::temp_dir().join(format!("apikey-core-peppers-{}", std::process::id()));
        let missing = KeyHasher::from_file(&path).unwrap_err();
        let name = path.display().to_string();
        assert_eq!(missing.to_string(), format!("{name}: the file can't be read"));
        assert!(missing.source().unwrap().is::<std::io::Error>());

        fs::write(&path, format!("v3:{}\n", hex(3))).unwrap();
        let read = KeyHasher::from_file(&path);
        fs::write(&path, "v3:00\n").unwrap();
        let short = KeyHasher::from_file(&path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert_eq!(format!("{:?}", read.unwrap()), "KeyHasher([hmac-sha256:v3])");
        assert!(short.to_string().starts_with(&format!("{name}: entry 1 on line 1: ")));
    }

    #[test]
    fn given_a_pepper_or_hasher_when_formatted_for_debugging_then_only_versions_show() {
        let pepper = Pepper::new(5, b"correct horse battery staple, twice").unwrap();
        assert_eq!(format!("{pepper:?}"), "Pepper(v5, [redacted])");
        let hasher = KeyHasher::hmac_sha256(pepper).accept_sha256();
        assert_eq!(format!("{hasher:?}"), "KeyHasher([hmac-sha256:v5, sha256])");
        assert_eq!(format!("{:?}", hasher.clone()), format!("{hasher:?}"));
    }
}
