//! What a store can do wrong, and the checks that find it.

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $fault:ident: [$($check:ident),+ $(,)?],)+) => {
        /// One rule, broken.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            /// None: to show that it is the faults that are found, and not what carries them.
            Nothing,
            $($(#[doc = $doc])+ $fault,)+
        }

        impl Fault {
            /// Every fault, and the names of the checks that must find it. Others may as well.
            pub(crate) const TABLE: &[(Fault, &[&str])] = &[$((Fault::$fault, &[$(stringify!($check)),+]),)+];
        }
    };
}

faults! {
    /// Each change of a transaction is a transaction.
    CommitsOneByOne: [given_a_conflict_at_the_end_when_committed_then_nothing_is_changed],
    /// The first change is kept when the caller goes away.
    StopsHalfway: [given_a_commit_that_is_dropped_midway_then_it_is_whole_or_absent],
    /// A dropped transaction keeps its lock.
    LeaksLock: [given_a_dropped_transaction_when_another_begins_then_it_is_not_held_up],
    /// A large transaction is cut off.
    KeepsFiveHundred: [given_a_thousand_new_keys_when_committed_then_all_are_kept],
    /// Changes are applied from the last to the first.
    LastChangeFirst: [given_changes_that_need_each_other_when_committed_then_their_order_is_kept],
    /// Transactions don't exclude each other.
    NoLock: [
        given_a_change_under_way_when_another_begins_then_it_waits_and_sees_the_first,
        given_fifty_callers_when_each_counts_and_then_adds_then_the_limit_holds,
        given_one_key_when_fifty_callers_change_it_then_no_change_is_lost,
        given_fifty_callers_at_limit_ten_when_they_issue_then_exactly_ten_do,
        given_a_stale_version_when_changed_then_the_current_one_is_told,
    ],
    /// Some commits are acknowledged and lost.
    LosesCommits: [given_many_organizations_when_changed_at_once_then_each_has_its_own],
    /// Reads take the organization's lock.
    ReadsWait: [given_a_change_under_way_when_read_then_the_answer_does_not_wait],
    /// A digest that is taken is no obstacle.
    AcceptsTakenDigests: [
        given_a_taken_digest_when_inserted_anywhere_then_it_is_refused,
        given_one_digest_when_ten_organizations_insert_it_at_once_then_one_has_it,
    ],
    /// A digest that comes twice in one transaction is no obstacle.
    AcceptsDigestsTwice: [given_one_digest_twice_when_inserted_together_then_it_is_refused],
    /// An id that is taken is no obstacle.
    AcceptsTakenIds: [given_a_taken_id_when_inserted_anywhere_then_it_is_refused],
    /// The digests of deleted keys are free.
    ForgetsDeletedDigests: [
        given_a_deleted_key_when_its_digests_return_then_they_are_refused,
        given_an_active_key_when_deleted_then_it_was_revoked_and_its_story_stays,
        given_a_secret_when_retired_then_nothing_finds_it_and_it_cannot_come_back,
    ],
    /// The ids of deleted keys are free.
    ForgetsDeletedIds: [
        given_a_deleted_key_when_its_id_returns_then_it_is_refused,
        given_an_active_key_when_deleted_then_it_was_revoked_and_its_story_stays,
    ],
    /// Only what the own organization has is told to be taken.
    TakenByOwnOnly: [
        given_digests_and_ids_when_asked_then_those_of_every_organization_are_taken,
        given_known_keys_when_imported_then_their_rows_are_told_and_no_owner,
    ],
    /// Any version may be written over.
    AcceptsStaleVersions: [
        given_a_stale_version_when_updated_then_it_is_refused,
        given_a_key_when_its_state_is_set_then_nothing_else_changes,
        given_secrets_when_ended_then_they_are_marked_for_good,
    ],
    /// A change of a row that isn't there is done by doing nothing.
    SkipsUnknownRows: [
        given_an_unknown_row_when_changed_then_it_is_refused,
        given_secrets_that_are_not_to_spare_when_retired_then_it_is_refused,
    ],
    /// An update forgets a field.
    UpdateKeepsDescription: [given_an_update_when_committed_then_every_field_is_replaced],
    /// An update can't clear a field.
    UpdateKeepsExpiry: [given_an_update_when_committed_then_every_field_is_replaced],
    /// The update of an account forgets a field.
    UpdateKeepsAccountsDescription: [given_an_updated_account_when_read_then_every_field_is_replaced],
    /// An update writes when the key was last used.
    UpdateWritesLastUse: [given_a_used_key_when_updated_then_its_last_use_is_kept],
    /// Secrets come the oldest first.
    OldestSecretFirst: [given_a_rotation_when_updated_then_the_new_secret_comes_first],
    /// An update changes no windows.
    UpdateKeepsWindows: [
        given_a_rotated_key_when_updated_then_its_secrets_get_the_windows_given,
        given_rotations_when_made_then_at_most_two_secrets_live,
        given_a_secret_that_ends_when_rotated_again_then_it_ends_no_later,
    ],
    /// Retired secrets stay.
    RetiresNothing: [
        given_a_secret_when_retired_then_nothing_finds_it_and_it_cannot_come_back,
        given_many_rotations_when_made_then_a_record_has_the_latest_secrets,
    ],
    /// A key's last use goes with the secret that it was made with.
    RetireForgetsLastUse: [given_a_secret_when_retired_then_nothing_finds_it_and_it_cannot_come_back],
    /// An update removes the secrets that it doesn't name.
    UpdateRemovesSecrets: [given_secrets_left_out_when_updated_then_they_are_kept],
    /// Only one of many digests is looked for.
    FindsOneOfMany: [given_many_digests_when_found_then_each_has_its_own_key_and_secret],
    /// A key is found under its newest secret whatever was asked.
    FindsNewestSecret: [given_many_digests_when_found_then_each_has_its_own_key_and_secret],
    /// Digests are compared by their bytes alone.
    FindsAnyAlgorithm: [given_equal_bytes_of_another_algorithm_when_found_then_nothing_is],
    /// Revoked keys are not found.
    FindHidesRevoked: [given_keys_that_are_not_let_in_when_found_then_their_records_say_why],
    /// Whether an account is disabled is not told.
    FindForgetsAccounts: [
        given_a_key_of_an_account_when_found_then_the_accounts_state_is_told,
        given_a_service_account_when_switched_then_its_keys_follow,
    ],
    /// An account that is gone counts as enabled.
    FindForgivesGoneAccounts: [given_a_key_of_an_account_when_found_then_the_accounts_state_is_told],
    /// Whether an organization is suspended is not told.
    FindForgetsSuspension: [
        given_a_suspended_organization_when_its_keys_are_found_then_it_is_told,
        given_an_organization_when_suspended_then_its_keys_are_told_so,
    ],
    /// Deleted keys are found.
    FindsDeleted: [given_a_deleted_key_when_read_then_nothing_is_left_of_it],
    /// What is found is read in two statements.
    FindReadsTwice: [given_changes_while_found_then_key_account_and_revision_are_of_one_moment],
    /// Lists begin with the oldest.
    OldestFirst: [
        given_keys_when_listed_then_the_newest_come_first_and_ids_order_the_rest,
        given_accounts_when_listed_then_the_newest_come_first_in_pages_without_gaps,
        given_events_when_listed_then_the_newest_come_first_in_pages_without_gaps,
        given_requests_at_one_moment_when_paged_then_each_comes_once,
    ],
    /// Ids are sorted as people would.
    SortsIdsWithoutCase: [
        given_keys_when_listed_then_the_newest_come_first_and_ids_order_the_rest,
        given_keys_of_every_organization_when_scanned_then_each_comes_once_by_id,
    ],
    /// A cursor is a time.
    CursorsForgetIds: [
        given_equal_times_when_paged_then_every_key_comes_once,
        given_accounts_when_listed_then_the_newest_come_first_in_pages_without_gaps,
        given_events_when_listed_then_the_newest_come_first_in_pages_without_gaps,
        given_requests_at_one_moment_when_paged_then_each_comes_once,
    ],
    /// A list goes on where it should end.
    GoesOnAfterAPlace: [
        given_keys_when_a_list_ends_at_a_place_then_what_comes_after_is_left_out,
    ],
    /// Pages may be larger than was asked.
    IgnoresLimits: [
        given_keys_when_a_list_ends_at_a_place_then_what_comes_after_is_left_out,
        given_equal_times_when_paged_then_every_key_comes_once,
        given_activity_when_asked_for_a_span_then_only_that_is_told,
        given_keys_about_to_expire_when_asked_then_they_come_in_that_order,
    ],
    /// The status is that of another moment.
    FiltersStatusLate: [
        given_generated_keys_when_filtered_by_status_then_as_the_model_does,
        given_a_key_when_time_passes_then_its_status_follows,
    ],
    /// The environment is not filtered by.
    FiltersNoEnvironment: [
        given_generated_keys_when_filtered_by_environment_then_as_the_model_does,
        given_a_selection_when_revoked_then_exactly_its_keys_are,
    ],
    /// The account is not filtered by.
    FiltersNoAccount: [
        given_generated_keys_when_filtered_by_account_then_as_the_model_does,
        given_a_selection_when_revoked_then_exactly_its_keys_are,
    ],
    /// The creator is not filtered by.
    FiltersNoCreator: [
        given_generated_keys_when_filtered_by_creator_then_as_the_model_does,
        given_a_selection_when_revoked_then_exactly_its_keys_are,
    ],
    /// The creating key is not filtered by.
    FiltersNoCreatingKey: [given_generated_keys_when_filtered_by_creating_key_then_as_the_model_does],
    /// Nothing is followed.
    FollowsNoLineage: [
        given_lineage_when_followed_then_all_that_was_made_is_reached,
        given_keys_that_issued_keys_when_the_first_is_revoked_then_all_of_its_line_are,
        given_a_thief_that_rotated_keys_when_revoked_with_its_line_then_those_secrets_end,
    ],
    /// Lineage is followed though nobody asked.
    FollowsLineageUnasked: [given_lineage_when_followed_then_all_that_was_made_is_reached],
    /// A step has no end.
    ReachIgnoresLimits: [
        given_a_selection_when_reached_in_steps_then_each_key_comes_once,
        given_more_keys_than_a_step_when_revoked_then_steps_end_all,
    ],
    /// The key that asks may end before the others.
    ReachForgetsTheLast: [given_a_selection_when_reached_in_steps_then_each_key_comes_once],
    /// A secret that was ended is closed by its window alone.
    EndsWithoutMark: [
        given_secrets_when_ended_then_they_are_marked_for_good,
        given_a_key_with_everything_when_read_then_all_of_it_is_kept,
        given_rotations_when_made_then_at_most_two_secrets_live,
    ],
    /// A key can't be enabled again.
    StateKeepsDisabled: [given_a_key_when_its_state_is_set_then_nothing_else_changes],
    /// Of several filters one is enough.
    FiltersByAny: [given_generated_keys_when_filtered_by_several_things_then_all_must_hold],
    /// Within a change only a page is listed.
    ChangesListAPage: [given_generated_keys_when_listed_within_a_change_then_as_the_model_does],
    /// Expired keys count.
    CountsEverything: [
        given_generated_keys_when_counted_then_those_that_are_over_do_not_count,
        given_a_full_organization_when_keys_end_then_there_is_room_until_they_return,
    ],
    /// `%` and `_` stand for other characters.
    TextHasWildcards: [given_wildcards_when_searched_for_then_they_stand_for_themselves],
    /// All letters lose their case.
    TextFoldsEverything: [given_letters_when_searched_for_then_only_ascii_ones_lose_their_case],
    /// Text is found in ASCII only.
    TextIsAscii: [given_any_unicode_when_searched_for_then_it_is_found],
    /// Parts of ids are found.
    TextFindsPartsOfIds: [given_ids_when_searched_for_then_only_whole_ones_are_found],
    /// A text with NUL is an outage.
    NulIsAnOutage: [given_a_text_with_nul_when_asked_for_or_kept_then_nothing_is_found_or_changed],
    /// A text ends at its NUL.
    NulEndsTexts: [given_a_text_with_nul_when_asked_for_or_kept_then_nothing_is_found_or_changed],
    /// Ids are looked up in every organization.
    ReadsReachAcross: [
        given_anothers_rows_when_read_then_they_are_not_found,
        given_anothers_key_when_anything_is_asked_then_as_if_there_were_none,
    ],
    /// Changes reach rows of every organization.
    ChangesReachAcross: [
        given_anothers_rows_when_a_change_names_them_then_it_is_refused,
        given_anothers_key_when_anything_is_asked_then_as_if_there_were_none,
    ],
    /// Rows are written for whichever organization they name.
    WritesForOthers: [given_a_change_when_it_holds_rows_of_another_then_they_are_not_written],
    /// Events are not filtered.
    AuditIgnoresFilters: [given_events_when_filtered_then_each_filter_holds],
    /// Events forget their request.
    AuditForgetsRequests: [
        given_an_event_when_read_then_all_of_it_is_kept,
        given_every_action_when_done_then_it_is_told_once_and_without_secrets,
    ],
    /// An event takes the place of another with its id.
    AuditIsOverwritten: [given_an_event_when_another_has_its_id_then_the_first_stands],
    /// Events go with what they tell of.
    AuditGoesWithKeys: [
        given_a_deleted_key_when_its_events_are_read_then_they_are_all_there,
        given_an_active_key_when_deleted_then_it_was_revoked_and_its_story_stays,
    ],
    /// Batches are added as often as they come.
    CountsBatchesTwice: [given_a_batch_when_added_again_then_it_changes_nothing],
    /// Counts wrap around at 32 bits.
    CountsInThirtyTwoBits: [given_several_batches_when_added_then_they_add_up],
    /// Only the whole organization's usage is known.
    UsageIgnoresWhose: [
        given_usage_when_asked_by_account_or_environment_then_theirs_is_told,
        given_usage_when_asked_for_then_totals_and_last_uses_are_told,
    ],
    /// Usage begins with the first hour that begins within the span.
    UsageSkipsFirstHour: [given_usage_when_asked_for_a_span_then_its_hours_come_oldest_first],
    /// Usage comes the newest first.
    UsageNewestFirst: [given_usage_when_asked_for_a_span_then_its_hours_come_oldest_first],
    /// Usage goes with its key.
    UsageGoesWithKeys: [given_a_deleted_key_when_usage_is_read_then_what_it_did_still_counts],
    /// A row of an unknown key spoils the batch.
    UsageFailsForUnknownKeys: [
        given_rows_of_keys_that_are_gone_when_added_then_they_count_for_whom_they_name,
        given_keys_that_end_when_their_use_is_not_written_yet_then_it_counts_all_the_same,
    ],
    /// A row of an unknown key is left out.
    UsageSkipsUnknownKeys: [
        given_rows_of_keys_that_are_gone_when_added_then_they_count_for_whom_they_name,
        given_keys_that_end_when_their_use_is_not_written_yet_then_it_counts_all_the_same,
    ],
    /// A row of an unknown key counts for the organization, and for nothing within it.
    UsageForgetsWhoseItWas: [
        given_rows_of_keys_that_are_gone_when_added_then_they_count_for_whom_they_name,
        given_keys_that_end_when_their_use_is_not_written_yet_then_it_counts_all_the_same,
    ],
    /// A day counts whole, though only a part of it is asked for.
    UsageRoundsToDays: [given_usage_when_a_span_is_cut_anywhere_then_its_parts_add_up],
    /// Usage comes by the hour, whatever is asked for.
    UsageKnowsNoDays: [given_usage_when_a_span_is_cut_anywhere_then_its_parts_add_up],
    /// A span includes the hour that begins at its end.
    UsageIncludesEnd: [
        given_usage_when_asked_for_a_span_then_its_hours_come_oldest_first,
        given_usage_when_a_span_is_cut_anywhere_then_its_parts_add_up,
    ],
    /// The last use is whatever was told last.
    LastUseMovesBack: [given_uses_in_any_order_when_added_then_the_last_use_never_moves_back],
    /// Every third batch is acknowledged and lost.
    LosesBatches: [given_many_batches_when_added_at_once_then_all_are_counted],
    /// A batch's rows are added one by one, its id at the end.
    AddsRowsOneByOne: [given_a_batch_that_was_dropped_midway_when_sent_again_then_it_counts_once],
    /// Requests forget their address.
    ActivityForgetsAddresses: [given_activity_when_read_then_all_of_it_is_kept],
    /// A span of activity includes its end.
    ActivityIncludesEnd: [given_activity_when_asked_for_a_span_then_only_that_is_told],
    /// More is pruned than was asked for.
    PrunesTooMuch: [
        given_old_usage_when_pruned_then_days_go_as_a_whole,
        given_old_activity_when_pruned_then_younger_requests_stay,
        given_old_events_when_pruned_then_younger_ones_stay,
    ],
    /// Nothing is pruned.
    PrunesNothing: [
        given_old_usage_when_pruned_then_days_go_as_a_whole,
        given_old_activity_when_pruned_then_younger_requests_stay,
        given_old_events_when_pruned_then_younger_ones_stay,
    ],
    /// Hours go by themselves, and stay in the sums of their days.
    PrunesPartsOfDays: [given_old_usage_when_pruned_then_days_go_as_a_whole],
    /// What was not asked for is pruned too.
    PrunesUnasked: [given_nothing_to_prune_when_pruned_then_everything_stays],
    /// Pruning forgets the ids of all batches.
    PruneForgetsBatches: [given_a_batch_when_pruned_within_a_day_then_its_id_is_still_known],
    /// The ids of batches are kept for ever.
    PruneKeepsBatches: [given_a_batch_when_pruned_within_a_day_then_its_id_is_still_known],
    /// Revoked keys are told to expire.
    ExpiringTellsRevoked: [given_keys_about_to_expire_when_asked_then_they_come_in_that_order],
    /// The latest expiry comes first.
    ExpiringLatestFirst: [given_keys_about_to_expire_when_asked_then_they_come_in_that_order],
    /// Revoked keys are not scanned.
    ScanSkipsRevoked: [given_keys_of_every_organization_when_scanned_then_each_comes_once_by_id],
    /// No change takes a revision.
    RevisionStands: [given_changes_when_committed_then_only_those_that_affect_callers_take_a_revision],
    /// Every change takes a revision.
    RevisionAlwaysMoves: [given_changes_when_committed_then_only_those_that_affect_callers_take_a_revision],
    /// A refused change takes a revision.
    RevisionMovesOnRefusal: [given_a_refused_or_dropped_change_when_over_then_the_revision_stands],
    /// Two changes share a revision.
    RevisionsRepeat: [given_fifty_changes_at_once_when_committed_then_each_has_its_own_revision],
    /// The revision is seen before the change.
    RevisionComesFirst: [given_a_revision_when_seen_then_all_changes_up_to_it_are_seen],
    /// When a key was last used is not kept from the beginning.
    InsertForgetsLastUse: [given_a_key_with_everything_when_read_then_all_of_it_is_kept],
    /// What is absent is read as empty.
    AbsentIsEmpty: [given_a_key_with_nothing_when_read_then_nothing_is_added],
    /// Times are kept to the second.
    TimesInSeconds: [given_times_when_read_then_not_a_millisecond_is_lost],
    /// Texts are trimmed.
    TrimsTexts: [given_any_unicode_when_read_then_not_a_character_is_changed],
    /// Numbers are kept as floating-point.
    NumbersAreFloats: [given_metadata_when_read_then_its_numbers_and_nesting_are_kept],
    /// Ids are cut off.
    CutsIds: [given_ids_of_any_length_when_read_then_they_are_kept],
    /// Digests forget their pepper.
    ForgetsPeppers: [given_digests_of_every_algorithm_when_read_then_they_are_the_same],
    /// A marker that is set may be set again.
    MarkersAreSetAgain: [
        given_a_marker_when_set_again_then_it_is_refused,
        given_a_marker_when_ten_set_it_at_once_then_one_does,
        given_eight_that_start_at_once_when_each_bootstraps_then_one_gets_the_key,
    ],
    /// A marker advances from wherever it is.
    MarkersAdvanceFromAnywhere: [
        given_a_marker_when_advanced_then_only_from_what_it_is,
        given_a_marker_when_ten_advance_it_at_once_then_each_step_is_made_once,
    ],
    /// Markers are not kept.
    ForgetsMarkers: [
        given_a_marker_when_set_again_then_it_is_refused,
        given_an_import_that_was_cut_off_when_run_again_then_it_goes_on,
        given_eight_that_start_at_once_when_each_bootstraps_then_one_gets_the_key,
    ],
    /// A revocation is not kept.
    UpdateKeepsRevocation: [
        given_an_update_when_committed_then_every_field_is_replaced,
        given_a_revoked_key_when_anything_is_tried_then_it_stays_revoked,
        given_a_key_when_its_state_is_set_then_nothing_else_changes,
        given_a_selection_when_revoked_then_exactly_its_keys_are,
    ],
    /// Scopes are kept as they were issued.
    UpdateKeepsScopes: [
        given_an_update_when_committed_then_every_field_is_replaced,
        given_an_actor_that_expires_when_it_issues_then_nothing_outlives_it,
    ],
    /// Nothing counts.
    CountsNothing: [
        given_generated_keys_when_counted_then_those_that_are_over_do_not_count,
        given_fifty_callers_at_limit_ten_when_they_issue_then_exactly_ten_do,
        given_eight_of_ten_keys_when_three_are_imported_then_none_is,
        given_a_lowered_limit_when_keys_are_over_it_then_none_breaks_and_none_is_added,
    ],
    /// Nothing is deleted.
    DeletesNothing: [
        given_a_deleted_key_when_read_then_nothing_is_left_of_it,
        given_a_deleted_key_when_deleted_again_then_it_is_not_found,
    ],
    /// The store is never ready.
    CheckFails: [given_a_store_when_checked_then_it_can_be_read_and_written],
}
