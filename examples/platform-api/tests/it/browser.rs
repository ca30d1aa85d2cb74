//! A customer's life with a key, in a real browser: what is done there stands in `tests/page/platform.mjs`.

#[path = "../../../../tests/contract/chromium.rs"]
mod chromium;

use crate::{
    stand::{PASSWORD, Stand},
    usage::seed,
};

#[test]
fn given_a_customer_when_they_live_with_a_key_in_a_browser_then_each_step_is_there() {
    let stand = Stand::new();
    let key = stand.member("eli@acme.example").issue("Eli's laptop");
    seed(&stand, &key.id, &[2]);
    chromium::run("platform.mjs", &[&format!("http://{}/", stand.service.address), PASSWORD, "all"]);
    assert_eq!(stand.status(&key.secret), 401, "Eli has left");
}
