//! The page in a real browser, as customers walk through it. `tests/page/customer.mjs` contains the walk.

use crate::{chromium, stand::Stand};

#[test]
fn given_a_browser_when_a_key_is_made_used_lost_and_ended_there_then_each_step_is_there() {
    let stand = Stand::new();
    let page = format!("http://{}/keys/", stand.service.address);
    let (list, scope) = crate::API.list;
    chromium::run("customer.mjs", &[&page, &stand.admin, "all", list, scope]);
}
