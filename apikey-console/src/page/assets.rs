//! The page's files without comments, plain and compressed.

use std::{
    io::Write,
    sync::{Arc, LazyLock, OnceLock},
};

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;
use sha2::{Digest, Sha256};

/// The shell, a template with `{title}`, `{assets}` and `{sign-in}`.
pub(crate) const SHELL: &str = include_str!("../../page/index.html");

/// A file of the page.
#[derive(Debug)]
pub(crate) struct Asset {
    pub(crate) name: &'static str,
    pub(crate) content_type: HeaderValue,
    pub(crate) plain: Bytes,
    brotli: OnceLock<Option<Bytes>>,
    gzip: OnceLock<Option<Bytes>>,
}

macro_rules! files {
    ($($name:literal,)+) => {
        [$(($name, include_str!(concat!("../../page/", $name))),)+]
    };
}

/// All files except the shell.
const FILES: [(&str, &str); 40] = files![
    "accounts.js",
    "alert-list.js",
    "alert-settings.js",
    "alerts.js",
    "api.js",
    "app.js",
    "attention.js",
    "audit.js",
    "bulk.js",
    "chart.js",
    "console.css",
    "create.js",
    "csv.js",
    "dialog.js",
    "dom.js",
    "edit.js",
    "fields.js",
    "fleet.js",
    "form.js",
    "history.js",
    "icon.svg",
    "key.js",
    "keys.js",
    "later.js",
    "organization.js",
    "parts.js",
    "people.js",
    "picks.js",
    "revoke.js",
    "rotate.js",
    "router.js",
    "scopes.js",
    "secret.js",
    "sign-in.js",
    "spikes.js",
    "time.js",
    "trace.js",
    "usage.js",
    "webhooks.js",
    "words.js",
];

/// Compressed once per process, on the first request, even for several consoles.
static ASSETS: LazyLock<Vec<Arc<Asset>>> =
    LazyLock::new(|| FILES.into_iter().map(|(name, content)| Asset::of(name, without_comments(content))).collect());

/// Removes comments and indentation, a quarter of the files. No text of the page looks like a comment or contains a
/// line break other than `\n`.
fn without_comments(mut content: &str) -> Bytes {
    let mut code = String::with_capacity(content.len());
    while let Some((before, (_, after))) =
        content.split_once("/*").and_then(|(before, rest)| Some((before, rest.split_once("*/")?)))
    {
        code.push_str(before);
        content = after;
    }
    code.push_str(content);
    let lines = code.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into()
}

/// Returns all files, including the host's theme.
pub(crate) fn with_theme(theme: &str) -> Vec<Arc<Asset>> {
    let theme = Asset::of("theme.css", Bytes::copy_from_slice(theme.as_bytes()));
    ASSETS.iter().cloned().chain([theme]).collect()
}

/// Returns a folder name for all files. It changes whenever a byte of them does.
pub(crate) fn folder(assets: &[Arc<Asset>]) -> String {
    let mut hash = Sha256::new();
    for asset in assets {
        for part in [asset.name.as_bytes(), &asset.plain] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    base16ct::lower::encode_string(&hash.finalize()[..12])
}

impl Asset {
    fn of(name: &'static str, plain: Bytes) -> Arc<Self> {
        let content_type = HeaderValue::from_static(match name.rsplit('.').next() {
            Some("js") => "text/javascript; charset=utf-8",
            Some("css") => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        });
        Arc::new(Asset { name, content_type, plain, brotli: OnceLock::new(), gzip: OnceLock::new() })
    }

    /// Returns the file in this encoding, or `None` if it is not smaller.
    pub(crate) fn brotli(&self) -> Option<&Bytes> {
        self.brotli.get_or_init(|| self.smaller(brotli(&self.plain))).as_ref()
    }

    pub(crate) fn gzip(&self) -> Option<&Bytes> {
        self.gzip.get_or_init(|| self.smaller(gzip(&self.plain))).as_ref()
    }

    fn smaller(&self, bytes: Vec<u8>) -> Option<Bytes> {
        (bytes.len() < self.plain.len()).then(|| bytes.into())
    }
}

/// Writing to memory doesn't fail, neither here nor in gzip.
fn brotli(plain: &[u8]) -> Vec<u8> {
    let mut made = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, size_hint: plain.len(), ..Default::default() };
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
