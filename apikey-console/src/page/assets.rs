//! The page's files, as they are checked in, and compressed for browsers that take it.

use std::{io::Write, sync::LazyLock};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The shell, with `{title}` and `{assets}` to be filled in.
pub(crate) const SHELL: &str = include_str!("../../page/index.html");

/// A file of the page. The smaller forms are there if they are smaller.
#[derive(Clone, Debug)]
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) content_type: HeaderValue,
    pub(crate) plain: Bytes,
    pub(crate) brotli: Option<Bytes>,
    pub(crate) gzip: Option<Bytes>,
}

macro_rules! files {
    ($($name:literal,)+) => {
        [$(($name, include_bytes!(concat!("../../page/", $name)).as_slice()),)+]
    };
}

/// Everything but the shell.
const FILES: [(&str, &[u8]); 25] = files![
    "api.js",
    "app.js",
    "chart.js",
    "console.css",
    "create.js",
    "dialog.js",
    "dom.js",
    "edit.js",
    "form.js",
    "history.js",
    "icon.svg",
    "key.js",
    "keys.js",
    "parts.js",
    "people.js",
    "revoke.js",
    "rotate.js",
    "router.js",
    "scopes.js",
    "secret.js",
    "sign-in.js",
    "status.js",
    "time.js",
    "usage.js",
    "words.js",
];

/// Compressed once in a process, however many consoles it has.
static ASSETS: LazyLock<Vec<Asset>> =
    LazyLock::new(|| FILES.into_iter().map(|(name, content)| Asset::of(name, Bytes::from_static(content))).collect());

/// All files, with the host's theme among them.
pub(crate) fn with_theme(theme: &str) -> Vec<Asset> {
    let theme = Asset::of("theme.css", Bytes::copy_from_slice(theme.as_bytes()));
    ASSETS.iter().cloned().chain([theme]).collect()
}

/// A name for all of them together, which is another one as soon as a byte of them is.
pub(crate) fn folder(assets: &[Asset]) -> String {
    let mut hash = Sha256::new();
    for Asset { name, plain, .. } in assets {
        for part in [name.as_bytes(), plain] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    base16ct::lower::encode_string(&hash.finalize()[..12])
}

impl Asset {
    fn of(name: &'static str, plain: Bytes) -> Self {
        let content_type = HeaderValue::from_static(match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        });
        let smaller = |bytes: Vec<u8>| Some(Bytes::from(bytes)).filter(|bytes| bytes.len() < plain.len());
        let (brotli, gzip) = (smaller(brotli(&plain)), smaller(gzip(&plain)));
        Asset { name, content_type, plain, brotli, gzip }
    }
}

/// Writing to memory doesn't fail, in either of these.
fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut made = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 9, ..Default::default() };
    match brotli::BrotliCompress(&mut &*plain, &mut made, &parameters) {
        Ok(_) => made,
        Err(_) => plain.to_vec(),
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    match encoder.write_all(plain).and_then(|()| encoder.finish()) {
        Ok(made) => made,
        Err(_) => plain.to_vec(),
    }
}
