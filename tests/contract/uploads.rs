//! Refused uploads with common HTTP clients, which must receive the response.

use std::collections::BTreeMap;

use apikey_testkit::{Client, Upload};

use super::service::Service;

/// More than all buffers between a client and a server hold, so that the answer could be lost.
const LARGE: usize = 8 << 20;
const TIMES: usize = 3;

/// Sends each of these with a large body: the name, method, path, key and status.
pub(crate) fn assert_answered(service: &Service, refusals: &[(&str, &'static str, &str, Option<&str>, u16)]) {
    let rows = || refusals.iter().flat_map(|row| [row; TIMES]);
    let uploads: Vec<_> = rows()
        .map(|(_, method, path, key, _)| {
            let upload = Upload::new(format!("http://{}{path}", service.address), LARGE).method(method);
            let upload = upload.header("content-type", "application/json");
            key.iter().fold(upload, |upload, key| upload.header("authorization", format!("Bearer {key}")))
        })
        .collect();
    for client in Client::HTTP_1 {
        let Some(outcomes) = client.send_blocking(&uploads) else { continue };
        assert_eq!(outcomes.len(), uploads.len());
        let mut lost: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((name, .., status), outcome) in rows().zip(outcomes) {
            if outcome != Ok(*status) {
                lost.entry(*name).or_default().push(outcome);
            }
        }
        assert!(lost.is_empty(), "{client:?}, of {TIMES} each: {lost:?}");
    }
}
