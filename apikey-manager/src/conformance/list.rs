//! The table of contents: every check by name, with its rule.

use super::{Check, Level, manager, store};

/// Makes one `#[test]` for each check of the conformance suite, called by its name.
///
/// Takes an async function, or closure, without arguments that gives a
/// [`Fixture`](crate::conformance::Fixture) for one check, or an `Option` of one: `None` skips the check, and the
/// function has said why.
///
/// ```no_run
/// # use apikey_manager::{MemoryStore, conformance::Fixture};
/// mod conforms {
///     # use apikey_manager::{MemoryStore, conformance::Fixture};
///     apikey_manager::conformance_tests!(async || Fixture::new(MemoryStore::new()));
/// }
/// # fn main() {}
/// ```
#[macro_export]
#[cfg_attr(docsrs, doc(cfg(feature = "conformance")))]
macro_rules! conformance_tests {
    ($make:expr $(,)?) => {
        $crate::conformance_tests! { @list tests [$make] }
    };
    (@tests [$make:expr] $($level:ident $part:ident { $($subject:ident { $($name:ident: $rule:literal,)+ })+ })+) => {
        $($($(
            #[doc = $rule]
            #[test]
            fn $name() {
                $crate::conformance::test(stringify!($name), $make);
            }
        )+)+)+
    };
    (@table [] $($level:ident $part:ident { $($subject:ident { $($name:ident: $rule:literal,)+ })+ })+) => {
        &[$($($(Check {
            name: stringify!($name),
            rule: $rule,
            level: Level::$level,
            test: |bed| Box::pin($part::$subject::$name(bed)),
        },)+)+)+]
    };
    (@list $then:ident $arguments:tt) => {
        $crate::conformance_tests! { @$then $arguments
            Store store {
                atomicity {
                    given_a_conflict_at_the_end_when_committed_then_nothing_is_changed:
                        "A transaction that is refused leaves nothing of any of its changes.",
                    given_a_dropped_transaction_when_another_begins_then_it_is_not_held_up:
                        "A dropped transaction leaves nothing, not even its lock.",
                    given_a_commit_that_is_dropped_midway_then_it_is_whole_or_absent:
                        "A commit whose caller goes away is whole or absent.",
                    given_a_thousand_new_keys_when_committed_then_all_are_kept:
                        "A transaction may hold a thousand keys and more.",
                    given_changes_that_need_each_other_when_committed_then_their_order_is_kept:
                        "Changes are applied in their order, each on what those before it left.",
                }
                locking {
                    given_a_change_under_way_when_another_begins_then_it_waits_and_sees_the_first:
                        "Of two changes in one organization the second waits, and sees what the first did.",
                    given_fifty_callers_when_each_counts_and_then_adds_then_the_limit_holds:
                        "What a transaction has counted stays so until it ends.",
                    given_one_key_when_fifty_callers_change_it_then_no_change_is_lost:
                        "What a transaction has read stays so until it ends.",
                    given_many_organizations_when_changed_at_once_then_each_has_its_own:
                        "Changes in different organizations don't disturb each other.",
                    given_a_change_under_way_when_read_then_the_answer_does_not_wait:
                        "Reading doesn't wait for a change that is under way.",
                }
                uniqueness {
                    given_a_taken_digest_when_inserted_anywhere_then_it_is_refused:
                        "A digest belongs to one secret of one key, in all organizations together.",
                    given_one_digest_twice_when_inserted_together_then_it_is_refused:
                        "One transaction can't give a digest to two keys.",
                    given_a_taken_id_when_inserted_anywhere_then_it_is_refused:
                        "An id belongs to one key, in all organizations together.",
                    given_a_deleted_key_when_its_digests_return_then_they_are_refused:
                        "The digests of a deleted key can't come back, in any organization.",
                    given_a_deleted_key_when_its_id_returns_then_it_is_refused:
                        "The id of a deleted key can't come back, in any organization.",
                    given_digests_and_ids_when_asked_then_those_of_every_organization_are_taken:
                        "Digests and ids are told to be taken whichever organization has them.",
                    given_one_digest_when_ten_organizations_insert_it_at_once_then_one_has_it:
                        "Of several that insert a digest at the same time one gets it.",
                }
                updates {
                    given_a_stale_version_when_updated_then_it_is_refused:
                        "A record takes the place of the version before it and of no other.",
                    given_an_unknown_row_when_changed_then_it_is_refused:
                        "What is not there can't be updated or deleted.",
                    given_an_update_when_committed_then_every_field_is_replaced:
                        "An update replaces every field of a key, also by nothing.",
                    given_an_updated_account_when_read_then_every_field_is_replaced:
                        "An update replaces every field of a service account; a deletion removes it.",
                    given_a_used_key_when_updated_then_its_last_use_is_kept:
                        "An update leaves alone when a key and its secrets were last used.",
                    given_a_rotation_when_updated_then_the_new_secret_comes_first:
                        "A secret that a key did not have is new and stands before the others.",
                    given_a_rotated_key_when_updated_then_its_secrets_get_the_windows_given:
                        "An update gives secrets the windows that it names, also none.",
                    given_a_secret_when_retired_then_nothing_finds_it_and_it_cannot_come_back:
                        "A retired secret is gone from its key, whose last use stays; its digest can't come back.",
                    given_secrets_that_are_not_to_spare_when_retired_then_it_is_refused:
                        "A key keeps one secret at least, and only its own are retired.",
                    given_secrets_left_out_when_updated_then_they_are_kept:
                        "An update removes no secret.",
                }
                finding {
                    given_many_digests_when_found_then_each_has_its_own_key_and_secret:
                        "Each of many digests finds its own key and secret; unknown ones find nothing.",
                    given_equal_bytes_of_another_algorithm_when_found_then_nothing_is:
                        "A digest is its bytes and its algorithm, pepper included.",
                    given_keys_that_are_not_let_in_when_found_then_their_records_say_why:
                        "Keys are found in every state; the verdict is not the store's.",
                    given_a_key_of_an_account_when_found_then_the_accounts_state_is_told:
                        "A key is found with whether its service account is disabled or gone.",
                    given_a_suspended_organization_when_its_keys_are_found_then_it_is_told:
                        "A key is found with whether its organization is suspended.",
                    given_a_deleted_key_when_read_then_nothing_is_left_of_it:
                        "A deleted key is not found, by its digests or by its id.",
                    given_changes_while_found_then_key_account_and_revision_are_of_one_moment:
                        "All that is found is of one moment, and so is its revision.",
                }
                lists {
                    given_keys_when_listed_then_the_newest_come_first_and_ids_order_the_rest:
                        "Keys are listed newest first, and by the bytes of their ids where times are equal.",
                    given_equal_times_when_paged_then_every_key_comes_once:
                        "Pages leave out no key and repeat none, though times be equal.",
                    given_generated_keys_when_filtered_by_status_then_as_the_model_does:
                        "Filtering by status agrees with `KeyFilter::matches`, at any moment.",
                    given_generated_keys_when_filtered_by_environment_then_as_the_model_does:
                        "Filtering by environment agrees with `KeyFilter::matches`.",
                    given_generated_keys_when_filtered_by_account_then_as_the_model_does:
                        "Filtering by service account agrees with `KeyFilter::matches`.",
                    given_generated_keys_when_filtered_by_creator_then_as_the_model_does:
                        "Filtering by who issued a key agrees with `KeyFilter::matches`.",
                    given_generated_keys_when_filtered_by_creating_key_then_as_the_model_does:
                        "Filtering by the key that issued a key agrees with `KeyFilter::matches`.",
                    given_keys_when_a_list_ends_at_a_place_then_what_comes_after_is_left_out:
                        "The place of the n-th key is found, and a list down to it ends with that key.",
                    given_generated_keys_when_filtered_by_several_things_then_all_must_hold:
                        "Of several filters all must hold.",
                    given_generated_keys_when_listed_within_a_change_then_as_the_model_does:
                        "Within a change all keys that pass a filter are listed, however many.",
                    given_accounts_when_listed_then_the_newest_come_first_in_pages_without_gaps:
                        "Service accounts are listed newest first, in pages without gaps.",
                    given_generated_keys_when_counted_then_those_that_are_over_do_not_count:
                        "Keys that are revoked or expired by then don't count, and all others do.",
                }
                text {
                    given_wildcards_when_searched_for_then_they_stand_for_themselves:
                        "A text is searched for as it is, whatever it means to a database.",
                    given_letters_when_searched_for_then_only_ascii_ones_lose_their_case:
                        "Searching folds the case of ASCII letters and of no others.",
                    given_any_unicode_when_searched_for_then_it_is_found:
                        "Any Unicode is found as it was written.",
                    given_ids_when_searched_for_then_only_whole_ones_are_found:
                        "A key is found by its whole id, not by a part of it.",
                    given_a_text_with_nul_when_asked_for_or_kept_then_nothing_is_found_or_changed:
                        "With a NUL character nothing is found, nothing is kept, and nothing is called an outage.",
                }
                isolation {
                    given_anothers_rows_when_read_then_they_are_not_found:
                        "Another organization's rows are not there to be read.",
                    given_anothers_rows_when_a_change_names_them_then_it_is_refused:
                        "A transaction can't see or change another organization's rows.",
                    given_a_change_when_it_holds_rows_of_another_then_they_are_not_written:
                        "A transaction writes no row for another organization.",
                }
                audit {
                    given_events_when_listed_then_the_newest_come_first_in_pages_without_gaps:
                        "Events are listed newest first, in pages without gaps.",
                    given_events_when_filtered_then_each_filter_holds:
                        "Events are filtered by actor, action, target and span of time.",
                    given_an_event_when_read_then_all_of_it_is_kept:
                        "All of an event is kept, for every action.",
                    given_an_event_when_another_has_its_id_then_the_first_stands:
                        "No event can be written over.",
                    given_a_deleted_key_when_its_events_are_read_then_they_are_all_there:
                        "Events outlive what they tell of.",
                }
                usage {
                    given_a_batch_when_added_again_then_it_changes_nothing:
                        "A batch is added once, by its id.",
                    given_several_batches_when_added_then_they_add_up:
                        "What batches count adds up, key by key and hour by hour.",
                    given_usage_when_asked_by_account_or_environment_then_theirs_is_told:
                        "Usage is told of a key, an account, an environment or the organization.",
                    given_usage_when_asked_for_a_span_then_its_hours_come_oldest_first:
                        "Usage of a span comes hour by hour, the oldest first.",
                    given_usage_when_a_span_is_cut_anywhere_then_its_parts_add_up:
                        "Spans cut at any hour add up, by the hour and by the day, whosever usage is asked for.",
                    given_a_deleted_key_when_usage_is_read_then_what_it_did_still_counts:
                        "What a key did counts after its deletion, and its account's.",
                    given_rows_of_keys_that_are_gone_when_added_then_they_count_for_whom_they_name:
                        "A row counts for whom it names, whatever became of the key, the account or the organization.",
                    given_uses_in_any_order_when_added_then_the_last_use_never_moves_back:
                        "When a key and its secrets were last used is told, and never moves back.",
                    given_many_batches_when_added_at_once_then_all_are_counted:
                        "Batches that are added at once are all counted.",
                    given_a_batch_that_was_dropped_midway_when_sent_again_then_it_counts_once:
                        "A batch is added whole or not at all, so that it can be sent again.",
                }
                activity {
                    given_activity_when_read_then_all_of_it_is_kept:
                        "All of a request is kept.",
                    given_requests_at_one_moment_when_paged_then_each_comes_once:
                        "Pages of activity leave out no request and repeat none, though times be equal.",
                    given_activity_when_asked_for_a_span_then_only_that_is_told:
                        "Activity is told of one key and one span of time.",
                }
                sweep {
                    given_old_usage_when_pruned_then_days_go_as_a_whole:
                        "Of usage only days that are over go, each as a whole, so that hours and days add up alike.",
                    given_old_activity_when_pruned_then_younger_requests_stay:
                        "Of activity only what is older goes.",
                    given_old_events_when_pruned_then_younger_ones_stay:
                        "Of events only what is older goes.",
                    given_nothing_to_prune_when_pruned_then_everything_stays:
                        "What nobody asked to prune stays.",
                    given_a_batch_when_pruned_within_a_day_then_its_id_is_still_known:
                        "Ids of batches are known for a day, and then forgotten.",
                    given_keys_about_to_expire_when_asked_then_they_come_in_that_order:
                        "Keys that are about to expire are told, soonest first, but for revoked ones.",
                    given_keys_of_every_organization_when_scanned_then_each_comes_once_by_id:
                        "A scan shows each key of every organization once, by the bytes of its id.",
                }
                lineage {
                    given_a_key_when_its_state_is_set_then_nothing_else_changes:
                        "Disabling and revoking change a key's state and version, and nothing else of its record.",
                    given_secrets_when_ended_then_they_are_marked_for_good:
                        "A secret that was ended is marked, and no update takes the mark away.",
                    given_lineage_when_followed_then_all_that_was_made_is_reached:
                        "Lineage leads to every key and secret that was made from a key, deleted ones in between.",
                    given_a_selection_when_reached_in_steps_then_each_key_comes_once:
                        "A selection is reached in steps by id, without keys that are revoked, the last one last.",
                }
                revision {
                    given_changes_when_committed_then_only_those_that_affect_callers_take_a_revision:
                        "The revision grows with each change that affects who may call, and with no other.",
                    given_a_refused_or_dropped_change_when_over_then_the_revision_stands:
                        "What was not committed takes no revision.",
                    given_fifty_changes_at_once_when_committed_then_each_has_its_own_revision:
                        "No two changes share a revision.",
                    given_a_revision_when_seen_then_all_changes_up_to_it_are_seen:
                        "Who sees a revision sees every change up to it.",
                }
                markers {
                    given_a_marker_when_set_again_then_it_is_refused:
                        "A marker is set once, for all organizations.",
                    given_a_marker_when_ten_set_it_at_once_then_one_does:
                        "Of several that set a marker at the same time one does.",
                    given_a_marker_when_advanced_then_only_from_what_it_is:
                        "A marker advances from what it is, or not at all.",
                    given_a_marker_when_ten_advance_it_at_once_then_each_step_is_made_once:
                        "Of several that advance a marker from one place one does.",
                }
                round_trip {
                    given_a_key_with_everything_when_read_then_all_of_it_is_kept:
                        "Every field of a key and its secrets is kept.",
                    given_a_key_with_nothing_when_read_then_nothing_is_added:
                        "What a key does not have, it does not get.",
                    given_times_when_read_then_not_a_millisecond_is_lost:
                        "Times are kept to the millisecond, from 1969 to the year 9999.",
                    given_any_unicode_when_read_then_not_a_character_is_changed:
                        "Names, descriptions, reasons and ids keep any Unicode as it was written.",
                    given_metadata_when_read_then_its_numbers_and_nesting_are_kept:
                        "Metadata keeps its numbers, texts and nesting.",
                    given_ids_of_any_length_when_read_then_they_are_kept:
                        "Ids of any length are kept, and those that differ in case are two.",
                    given_digests_of_every_algorithm_when_read_then_they_are_the_same:
                        "Digests keep their bytes, algorithm and pepper.",
                    given_a_store_when_checked_then_it_can_be_read_and_written:
                        "A store that works says so.",
                }
            }
            Manager manager {
                bad_input {
                    given_a_bad_name_when_given_to_anything_then_it_is_refused:
                        "Names have 1 to 100 characters, none of which shows nothing or changes how others are shown.",
                    given_a_bad_description_when_given_to_anything_then_it_is_refused:
                        "Descriptions and reasons have at most 500 characters that can all be seen.",
                    given_a_bad_time_or_duration_when_asked_for_then_it_is_refused:
                        "Times lie ahead and before the year 10000; durations are longer than zero and end by then.",
                    given_a_span_of_usage_that_is_none_when_asked_for_then_it_is_refused:
                        "A span of usage has full hours for its ends, and a bounded length.",
                    given_unknown_scopes_when_asked_for_then_each_is_named:
                        "Scopes are those of the catalog, environments those of the format; each mistake is named.",
                    given_more_mistakes_than_are_told_when_made_then_their_number_is:
                        "Of many mistakes fifty are told and the others counted; a key has at most 200 scopes.",
                    given_a_text_that_nothing_can_have_when_looked_for_then_it_is_refused:
                        "A filter that nothing can match, for its length or a control character, never reaches a store.",
                    given_metadata_that_is_too_large_or_deep_when_given_then_it_is_refused:
                        "Metadata has at most 8 KiB as JSON and 8 levels.",
                    given_an_unknown_id_when_anything_is_asked_then_it_is_not_found:
                        "What there is not is not found.",
                    given_a_stale_version_when_changed_then_the_current_one_is_told:
                        "Who has read an older version is told so; of several with the same one changes the record.",
                    given_a_deleted_key_when_deleted_again_then_it_is_not_found:
                        "What is deleted is not there to be deleted again.",
                }
                life {
                    given_a_key_when_time_passes_then_its_status_follows:
                        "A key's status follows from its record and the time, in reads and in lists.",
                    given_rotations_when_made_then_at_most_two_secrets_live:
                        "A key has at most two live secrets, and without an overlap one.",
                    given_many_rotations_when_made_then_a_record_has_the_latest_secrets:
                        "A record has its latest sixteen secrets, however often the key was rotated.",
                    given_a_secret_that_ends_when_rotated_again_then_it_ends_no_later:
                        "No rotation lengthens the life of a secret.",
                    given_a_revoked_key_when_anything_is_tried_then_it_stays_revoked:
                        "A revocation is final; made twice, it changes nothing.",
                    given_an_active_key_when_deleted_then_it_was_revoked_and_its_story_stays:
                        "An active key is revoked as it is deleted, its events stay, and it can't come back.",
                }
                groups {
                    given_keys_that_issued_keys_when_the_first_is_revoked_then_all_of_its_line_are:
                        "A cascade revokes every key that a key issued, and what those issued.",
                    given_a_selection_when_revoked_then_exactly_its_keys_are:
                        "Keys are revoked by creator, account, environment or all, and no others are.",
                    given_a_thief_that_rotated_keys_when_revoked_with_its_line_then_those_secrets_end:
                        "With a key end the secrets that it got by rotating others, and the others live on.",
                    given_more_keys_than_a_step_when_revoked_then_steps_end_all:
                        "Many keys are revoked in steps, each of which holds, and the asking key comes last.",
                    given_a_service_account_when_switched_then_its_keys_follow:
                        "A service account is renamed, switched, rotated and deleted with all its keys.",
                    given_an_organization_when_suspended_then_its_keys_are_told_so:
                        "A suspension holds for every key of an organization, and for no other's.",
                }
                limits {
                    given_fifty_callers_at_limit_ten_when_they_issue_then_exactly_ten_do:
                        "Fifty concurrent issues at limit 10 give exactly 10 keys.",
                    given_eight_of_ten_keys_when_three_are_imported_then_none_is:
                        "An import that would exceed the limit is refused, and told what is in use and allowed.",
                    given_a_full_organization_when_keys_end_then_there_is_room_until_they_return:
                        "Keys count until they are revoked or expired, and again once they are extended.",
                    given_a_lowered_limit_when_keys_are_over_it_then_none_breaks_and_none_is_added:
                        "A lowered limit refuses new keys and breaks no old ones.",
                    given_limits_of_lifetimes_when_exceeded_then_the_field_is_named:
                        "A plan's lifetimes hold for new keys and extensions.",
                }
                rights {
                    given_each_right_when_each_operation_is_asked_for_then_the_table_decides:
                        "Each operation is open to those whose scopes cover what it hands out or touches.",
                    given_an_actor_that_expires_when_it_issues_then_nothing_outlives_it:
                        "Nothing outlives who handed it out; a key that asks is judged by its record.",
                    given_anothers_key_when_anything_is_asked_then_as_if_there_were_none:
                        "Another organization's key is not found, in the same words as one that there is not.",
                }
                imports {
                    given_known_keys_when_imported_then_their_rows_are_told_and_no_owner:
                        "Known keys are told by row, without their owner, and nothing is imported.",
                    given_an_import_that_was_cut_off_when_run_again_then_it_goes_on:
                        "An import is whole by batch, and goes on where it was cut off.",
                }
                trail {
                    given_every_action_when_done_then_it_is_told_once_and_without_secrets:
                        "Each action is told once, with who, what, when and why asked, and without secrets or digests.",
                    given_usage_when_asked_for_then_totals_and_last_uses_are_told:
                        "Usage is told of keys, accounts, environments and the organization, and each secret's last use.",
                    given_keys_that_end_when_their_use_is_not_written_yet_then_it_counts_all_the_same:
                        "Every request that was let in counts, whatever becomes of its key before that is written.",
                }
                bootstrap {
                    given_eight_that_start_at_once_when_each_bootstraps_then_one_gets_the_key:
                        "Of eight that start at once on an empty store one gets the first key, and nobody another.",
                }
            }
        }
    };
}

/// Every check, in the order of the table above.
pub(super) const CHECKS: &[Check] = conformance_tests!(@list table []);
