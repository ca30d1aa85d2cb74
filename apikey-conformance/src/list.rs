//! The list of checks, which becomes the tests of a store.

use crate::{check::Check, fixture::Fixture};

/// Makes a `#[test]` of each check.
///
/// Takes an async function or closure that makes the [`Fixture`](crate::Fixture) of one check, or an `Option` of one.
/// `None` skips the check; the function says why.
///
/// ```
/// mod memory_store {
///     # use apikey_manager::MemoryStore;
///     # use apikey_conformance::Fixture;
///     apikey_conformance::test_store!(async || Fixture::new(MemoryStore::new()));
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! test_store {
    ($make:expr $(,)?) => {
        $crate::test_store! { @list tests [$make] }
    };
    (@tests [$make:expr] $($subject:ident { $($name:ident,)+ })+) => {
        $($(
            #[test]
            fn $name() {
                $crate::test(stringify!($name), $make);
            }
        )+)+
    };
    (@table [] $($subject:ident { $($name:ident,)+ })+) => {
        [$($(Check {
            name: stringify!($name),
            run: |bed| Box::pin($crate::checks::$subject::$name(bed)),
        },)+)+]
    };
    (@list $then:ident $arguments:tt) => {
        $crate::test_store! { @$then $arguments
            atomicity {
                a_conflict_at_the_end_undoes_everything,
                a_dropped_transaction_releases_its_lock,
                a_commit_dropped_midway_is_whole_or_absent,
                a_thousand_keys_fit_one_transaction,
                changes_are_applied_in_order,
            }
            locking {
                the_second_change_waits_and_sees_the_first,
                fifty_callers_that_count_and_add_keep_the_limit,
                fifty_changes_of_one_key_are_all_kept,
                organizations_change_at_once,
                reads_do_not_wait_for_changes,
            }
            uniqueness {
                a_taken_digest_is_refused_everywhere,
                one_digest_twice_in_a_transaction_is_refused,
                a_taken_id_is_refused_everywhere,
                digests_of_a_deleted_key_are_refused,
                the_id_of_a_deleted_key_is_refused,
                taken_digests_and_ids_span_organizations,
                ten_that_insert_one_digest_at_once_make_one_key,
            }
            updates {
                a_stale_version_is_refused,
                changing_an_unknown_row_is_refused,
                an_update_replaces_every_field,
                an_account_update_replaces_every_field,
                an_update_keeps_the_last_use,
                the_newest_secret_comes_first,
                an_update_sets_the_windows_of_secrets,
                a_retired_secret_is_never_found_again,
                retiring_the_last_secret_is_refused,
                an_update_keeps_the_secrets_it_omits,
            }
            finding {
                each_of_many_digests_finds_its_own_key,
                equal_bytes_of_another_algorithm_find_nothing,
                a_found_key_tells_why_it_is_not_live,
                a_found_key_tells_its_accounts_state,
                a_found_key_tells_of_a_suspension,
                a_deleted_key_is_not_found,
                a_found_key_is_of_one_moment,
            }
            lists {
                the_newest_key_comes_first_and_ids_order_ties,
                pages_show_keys_of_one_moment_once,
                keys_are_filtered_by_status,
                keys_are_filtered_by_environment,
                keys_are_filtered_by_account,
                keys_are_filtered_by_creator,
                keys_are_filtered_by_creating_key,
                a_list_ends_at_a_given_place,
                several_filters_must_all_hold,
                keys_are_listed_within_a_change,
                pages_of_accounts_have_no_gaps,
                expired_and_revoked_keys_do_not_count,
            }
            stale {
                keys_are_filtered_by_last_use,
                unused_keys_are_found,
                keys_are_filtered_by_expiry,
                keys_are_filtered_by_age_of_their_secret,
                pages_by_expiry_show_every_key_once,
                pages_by_last_use_show_every_key_once,
            }
            text {
                wildcards_stand_for_themselves,
                only_ascii_letters_lose_their_case,
                any_unicode_is_found,
                only_whole_ids_are_found,
                a_nul_finds_and_changes_nothing,
            }
            isolation {
                another_organizations_rows_are_not_found,
                changing_another_organizations_rows_is_refused,
                rows_of_another_organization_are_not_written,
            }
            audit {
                pages_of_events_have_no_gaps,
                events_are_filtered,
                every_field_of_an_event_is_kept,
                an_event_is_never_overwritten,
                events_outlive_their_key,
            }
            usage {
                a_batch_counts_once,
                batches_add_up,
                usage_is_told_by_account_and_environment,
                hours_come_oldest_first,
                the_parts_of_a_span_add_up,
                usage_outlives_its_key,
                usage_of_a_deleted_key_is_still_added,
                the_last_use_never_moves_back,
                batches_added_at_once_are_all_counted,
                a_batch_dropped_midway_counts_once,
            }
            activity {
                every_field_of_a_request_is_kept,
                pages_show_requests_of_one_moment_once,
                activity_is_told_of_one_key_and_span,
            }
            sweep {
                usage_is_pruned_by_whole_days,
                younger_activity_is_not_pruned,
                younger_events_are_not_pruned,
                pruning_nothing_keeps_everything,
                the_id_of_a_batch_is_known_for_a_day,
                expiring_keys_come_soonest_first,
                a_scan_shows_every_key_once_by_id,
            }
            lineage {
                setting_the_state_changes_nothing_else,
                an_ended_secret_is_marked_for_good,
                lineage_reaches_everything_that_was_made,
                lineage_tells_which_secret_made_a_secret,
                steps_reach_each_selected_key_once,
            }
            revision {
                only_changes_that_affect_callers_take_a_revision,
                a_change_that_is_not_committed_takes_no_revision,
                no_two_changes_share_a_revision,
                a_revision_covers_every_change_up_to_it,
            }
            fleet {
                the_history_tells_every_change,
                the_head_is_the_last_change,
                a_change_is_hinted_at,
                a_nodes_row_never_falls_back,
                marks_of_another_history_are_not_acknowledged,
                rows_are_swept_and_replaced,
                the_roster_tells_of_each_node,
                detached_connections_see_the_same_store,
            }
            markers {
                a_marker_is_set_once,
                one_of_ten_sets_the_marker,
                a_marker_advances_only_from_its_value,
                ten_that_advance_a_marker_make_each_step_once,
            }
            alerts {
                an_alert_is_written_once_with_its_change,
                alerts_are_listed_newest_first,
                an_alert_is_acknowledged_once,
                thresholds_are_kept_for_each_organization,
                every_field_of_a_webhook_is_kept,
                an_alert_goes_to_each_receiver_that_wants_it,
                a_delivery_is_claimed_by_one_for_a_time,
                twenty_that_claim_at_once_share,
                a_delivery_is_as_its_last_attempt_left_it,
                old_alerts_are_pruned,
            }
            requests {
                a_request_is_remembered_once,
                a_request_shares_the_fate_of_its_change,
                old_and_surplus_requests_are_forgotten,
            }
            round_trip {
                every_field_of_a_key_is_kept,
                a_bare_key_gains_nothing,
                times_are_kept_to_the_millisecond,
                unicode_is_kept_as_written,
                metadata_keeps_numbers_and_nesting,
                ids_of_any_length_and_case_are_kept,
                digests_of_every_algorithm_are_kept,
                a_working_store_passes_its_check,
            }
        }
    };
}

/// Returns every check.
pub fn checks() -> impl Iterator<Item = Check> {
    test_store!(@list table []).into_iter()
}

/// Runs the check with this name in its own runtime, for [`test_store`].
#[doc(hidden)]
pub fn test<F>(name: &str, make: impl AsyncFn() -> F)
where
    F: Into<Option<Fixture>>,
{
    let check = checks().find(|check| check.name() == name).expect("a check of this name");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(fixture) = make().await.into() {
            fixture.run(&check).await;
        }
    });
}
