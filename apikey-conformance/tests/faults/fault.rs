//! The faults of stores, and the checks that find them.

macro_rules! faults {
    ($($(#[doc = $doc:literal])+ $fault:ident: [$($check:ident),+ $(,)?],)+) => {
        /// One broken rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Fault {
            /// No fault, to show that the checks find the faults and not the wrapper.
            Nothing,
            $($(#[doc = $doc])+ $fault,)+
        }

        impl Fault {
            /// Every fault, with the names of the checks that must find it. Others may find it, too.
            pub(crate) const TABLE: &[(Fault, &[&str])] = &[$((Fault::$fault, &[$(stringify!($check)),+]),)+];
        }
    };
}

faults! {
    /// Each change of a transaction is a transaction.
    CommitsOneByOne: [a_conflict_at_the_end_undoes_everything],
    /// The first change is kept when the caller is dropped.
    StopsHalfway: [a_commit_dropped_midway_is_whole_or_absent],
    /// A dropped transaction keeps its lock.
    LeaksLock: [a_dropped_transaction_releases_its_lock],
    /// A large transaction is cut off.
    KeepsFiveHundred: [a_thousand_keys_fit_one_transaction],
    /// Changes are applied from the last to the first.
    LastChangeFirst: [changes_are_applied_in_order],
    /// Transactions are not mutually exclusive.
    NoLock: [
        the_second_change_waits_and_sees_the_first,
        fifty_callers_that_count_and_add_keep_the_limit,
        fifty_changes_of_one_key_are_all_kept,
    ],
    /// Some commits are confirmed and lost.
    LosesCommits: [organizations_change_at_once],
    /// Reads take the organization's lock.
    ReadsWait: [reads_do_not_wait_for_changes],
    /// A taken digest is accepted.
    AcceptsTakenDigests: [
        a_taken_digest_is_refused_everywhere,
        ten_that_insert_one_digest_at_once_make_one_key,
    ],
    /// A digest that occurs twice in one transaction is accepted.
    AcceptsDigestsTwice: [one_digest_twice_in_a_transaction_is_refused],
    /// A taken id is accepted.
    AcceptsTakenIds: [a_taken_id_is_refused_everywhere],
    /// The digests of deleted keys are accepted.
    ForgetsDeletedDigests: [
        digests_of_a_deleted_key_are_refused,
        a_retired_secret_is_never_found_again,
    ],
    /// The ids of deleted keys are accepted.
    ForgetsDeletedIds: [
        the_id_of_a_deleted_key_is_refused,
    ],
    /// Only the own organization's digests and ids are reported as taken.
    TakenByOwnOnly: [
        taken_digests_and_ids_span_organizations,
    ],
    /// Any version may be overwritten.
    AcceptsStaleVersions: [
        a_stale_version_is_refused,
        setting_the_state_changes_nothing_else,
        an_ended_secret_is_marked_for_good,
    ],
    /// A change of a missing row succeeds without effect.
    SkipsUnknownRows: [
        changing_an_unknown_row_is_refused,
        retiring_the_last_secret_is_refused,
    ],
    /// An update forgets a field.
    UpdateKeepsDescription: [an_update_replaces_every_field],
    /// An update can't clear a field.
    UpdateKeepsExpiry: [an_update_replaces_every_field],
    /// The update of an account forgets a field.
    UpdateKeepsAccountsDescription: [an_account_update_replaces_every_field],
    /// An update writes when the key was last used.
    UpdateWritesLastUse: [an_update_keeps_the_last_use],
    /// Secrets are returned oldest first.
    OldestSecretFirst: [the_newest_secret_comes_first],
    /// An update changes no windows.
    UpdateKeepsWindows: [
        an_update_sets_the_windows_of_secrets,
    ],
    /// Retired secrets stay.
    RetiresNothing: [
        a_retired_secret_is_never_found_again,
    ],
    /// A key's last use is deleted with the secret that was used.
    RetireForgetsLastUse: [a_retired_secret_is_never_found_again],
    /// An update removes secrets that it doesn't name.
    UpdateRemovesSecrets: [an_update_keeps_the_secrets_it_omits],
    /// Only one of many digests is looked up.
    FindsOneOfMany: [each_of_many_digests_finds_its_own_key],
    /// A key is always found with its newest secret.
    FindsNewestSecret: [each_of_many_digests_finds_its_own_key],
    /// Digests are compared by their bytes alone.
    FindsAnyAlgorithm: [equal_bytes_of_another_algorithm_find_nothing],
    /// Revoked keys are not found.
    FindHidesRevoked: [a_found_key_tells_why_it_is_not_live],
    /// A disabled account is not reported.
    FindForgetsAccounts: [
        a_found_key_tells_its_accounts_state,
    ],
    /// A deleted account counts as enabled.
    FindForgivesGoneAccounts: [a_found_key_tells_its_accounts_state],
    /// A suspended organization is not reported.
    FindForgetsSuspension: [
        a_found_key_tells_of_a_suspension,
    ],
    /// Deleted keys are found.
    FindsDeleted: [a_deleted_key_is_not_found],
    /// The read path takes two snapshots.
    FindReadsTwice: [a_found_key_is_of_one_moment],
    /// Waits for changes for ever.
    HintsAtNothing: [a_change_is_hinted_at],
    /// An unknown digest is answered without the revision.
    FindsNothingAtNoRevision: [the_head_is_the_last_change],
    /// Lists begin with the oldest row.
    OldestFirst: [
        the_newest_key_comes_first_and_ids_order_ties,
        pages_of_accounts_have_no_gaps,
        pages_of_events_have_no_gaps,
        pages_show_requests_of_one_moment_once,
    ],
    /// Ids are sorted by a language's rules.
    SortsIdsWithoutCase: [
        the_newest_key_comes_first_and_ids_order_ties,
        a_scan_shows_every_key_once_by_id,
    ],
    /// A cursor consists of a time only.
    CursorsForgetIds: [
        pages_show_keys_of_one_moment_once,
        pages_of_accounts_have_no_gaps,
        pages_of_events_have_no_gaps,
        pages_show_requests_of_one_moment_once,
    ],
    /// A list continues after its end.
    GoesOnAfterAPlace: [
        a_list_ends_at_a_given_place,
    ],
    /// Pages may exceed the requested size.
    IgnoresLimits: [
        a_list_ends_at_a_given_place,
        pages_show_keys_of_one_moment_once,
        activity_is_told_of_one_key_and_span,
        expiring_keys_come_soonest_first,
    ],
    /// The status is computed for another time.
    FiltersStatusLate: [
        keys_are_filtered_by_status,
    ],
    /// The environment filter is ignored.
    FiltersNoEnvironment: [
        keys_are_filtered_by_environment,
    ],
    /// The account filter is ignored.
    FiltersNoAccount: [
        keys_are_filtered_by_account,
    ],
    /// The issuer filter is ignored.
    FiltersNoCreator: [
        keys_are_filtered_by_creator,
    ],
    /// The filter by issuing key is ignored.
    FiltersNoCreatingKey: [keys_are_filtered_by_creating_key],
    /// The filter by last use is ignored.
    FiltersNoLastUse: [keys_are_filtered_by_last_use],
    /// The filter for unused keys also returns used ones.
    FiltersNoUnused: [unused_keys_are_found],
    /// The expiry filter is ignored.
    FiltersNoExpiry: [keys_are_filtered_by_expiry],
    /// The filter by age of secrets is ignored.
    FiltersNoAge: [keys_are_filtered_by_age_of_their_secret],
    /// Every list is in the order of creation.
    SortsByCreation: [pages_by_expiry_show_every_key_once, pages_by_last_use_show_every_key_once],
    /// A page begins after all keys of the last moment.
    CursorsSkipTies: [pages_by_expiry_show_every_key_once, pages_by_last_use_show_every_key_once],
    /// Lineage is not followed.
    FollowsNoLineage: [
        lineage_reaches_everything_that_was_made,
    ],
    /// Lineage is followed without being requested.
    FollowsLineageUnasked: [lineage_reaches_everything_that_was_made],
    /// Keys of service accounts are reached although they are to stay.
    EndsAccountsKeys: [lineage_reaches_everything_that_was_made],
    /// Keys of service accounts are never reached.
    KeepsAccountsKeysUnasked: [lineage_reaches_everything_that_was_made],
    /// A key counts as the maker of each of its secrets, whichever secret was presented.
    FollowsAnySecret: [lineage_tells_which_secret_made_a_secret],
    /// A step has no limit.
    ReachIgnoresLimits: [
        steps_reach_each_selected_key_once,
    ],
    /// The acting key may end before the others.
    ReachForgetsTheLast: [steps_reach_each_selected_key_once],
    /// An ended secret only gets a closed window.
    EndsWithoutMark: [
        an_ended_secret_is_marked_for_good,
        every_field_of_a_key_is_kept,
    ],
    /// A key can't be enabled again.
    StateKeepsDisabled: [setting_the_state_changes_nothing_else],
    /// One of several filters is enough.
    FiltersByAny: [several_filters_must_all_hold],
    /// A transaction lists only one page.
    ChangesListAPage: [keys_are_listed_within_a_change],
    /// Expired keys count.
    CountsEverything: [
        expired_and_revoked_keys_do_not_count,
    ],
    /// `%` and `_` stand for other characters.
    TextHasWildcards: [wildcards_stand_for_themselves],
    /// The case of all letters is ignored.
    TextFoldsEverything: [only_ascii_letters_lose_their_case],
    /// Only ASCII text is found.
    TextIsAscii: [any_unicode_is_found],
    /// Parts of ids are found.
    TextFindsPartsOfIds: [only_whole_ids_are_found],
    /// A text with NUL is reported as an outage.
    NulIsAnOutage: [a_nul_finds_and_changes_nothing],
    /// A text ends at its NUL.
    NulEndsTexts: [a_nul_finds_and_changes_nothing],
    /// Ids are looked up across organizations.
    ReadsReachAcross: [
        another_organizations_rows_are_not_found,
    ],
    /// Changes affect rows of other organizations.
    ChangesReachAcross: [
        changing_another_organizations_rows_is_refused,
    ],
    /// Rows are written for any organization that they name.
    WritesForOthers: [rows_of_another_organization_are_not_written],
    /// The event filter is ignored.
    AuditIgnoresFilters: [events_are_filtered],
    /// Events lose their request id.
    AuditForgetsRequests: [
        every_field_of_an_event_is_kept,
    ],
    /// An event replaces another one with its id.
    AuditIsOverwritten: [an_event_is_never_overwritten],
    /// Events are deleted with their target.
    AuditGoesWithKeys: [
        events_outlive_their_key,
    ],
    /// Batches are added repeatedly.
    CountsBatchesTwice: [a_batch_counts_once],
    /// Counts wrap around at 32 bits.
    CountsInThirtyTwoBits: [batches_add_up],
    /// Only the usage of the whole organization is stored.
    UsageIgnoresWhose: [
        usage_is_told_by_account_and_environment,
    ],
    /// Usage begins with the first hour that starts within the span.
    UsageSkipsFirstHour: [hours_come_oldest_first],
    /// Usage is returned newest first.
    UsageNewestFirst: [hours_come_oldest_first],
    /// Usage is deleted with its key.
    UsageGoesWithKeys: [usage_outlives_its_key],
    /// A row of an unknown key fails the batch.
    UsageFailsForUnknownKeys: [
        usage_of_a_deleted_key_is_still_added,
    ],
    /// A row of an unknown key is skipped.
    UsageSkipsUnknownKeys: [
        usage_of_a_deleted_key_is_still_added,
    ],
    /// A row of an unknown key counts for the organization only.
    UsageForgetsWhoseItWas: [
        usage_of_a_deleted_key_is_still_added,
    ],
    /// A day counts as a whole, even if the span contains only a part of it.
    UsageRoundsToDays: [the_parts_of_a_span_add_up],
    /// Usage is always returned by the hour.
    UsageKnowsNoDays: [the_parts_of_a_span_add_up],
    /// A span includes the hour that begins at its end.
    UsageIncludesEnd: [
        hours_come_oldest_first,
        the_parts_of_a_span_add_up,
    ],
    /// The last use is the one that was written last.
    LastUseMovesBack: [the_last_use_never_moves_back],
    /// Every third batch is confirmed and lost.
    LosesBatches: [batches_added_at_once_are_all_counted],
    /// A batch's rows are added one by one, and its id at the end.
    AddsRowsOneByOne: [a_batch_dropped_midway_counts_once],
    /// Requests lose their address.
    ActivityForgetsAddresses: [every_field_of_a_request_is_kept],
    /// A span of activity includes its end.
    ActivityIncludesEnd: [activity_is_told_of_one_key_and_span],
    /// Pruning deletes too much.
    PrunesTooMuch: [
        usage_is_pruned_by_whole_days,
        younger_activity_is_not_pruned,
        younger_events_are_not_pruned,
    ],
    /// Nothing is pruned.
    PrunesNothing: [old_alerts_are_pruned,
        usage_is_pruned_by_whole_days,
        younger_activity_is_not_pruned,
        younger_events_are_not_pruned,
    ],
    /// Hours are deleted alone, and stay in the sums of their days.
    PrunesPartsOfDays: [usage_is_pruned_by_whole_days],
    /// Pruning deletes kinds of rows that were not requested.
    PrunesUnasked: [pruning_nothing_keeps_everything],
    /// Pruning forgets the ids of all batches.
    PruneForgetsBatches: [the_id_of_a_batch_is_known_for_a_day],
    /// The ids of batches are kept forever.
    PruneKeepsBatches: [the_id_of_a_batch_is_known_for_a_day],
    /// Revoked keys are returned as expiring.
    ExpiringTellsRevoked: [expiring_keys_come_soonest_first],
    /// The latest expiry comes first.
    ExpiringLatestFirst: [expiring_keys_come_soonest_first],
    /// Revoked keys are not scanned.
    ScanSkipsRevoked: [a_scan_shows_every_key_once_by_id],
    /// No change takes a revision.
    RevisionStands: [only_changes_that_affect_callers_take_a_revision],
    /// Every change takes a revision.
    RevisionAlwaysMoves: [only_changes_that_affect_callers_take_a_revision],
    /// A refused change takes a revision.
    RevisionMovesOnRefusal: [a_change_that_is_not_committed_takes_no_revision],
    /// Two changes share a revision.
    RevisionsRepeat: [no_two_changes_share_a_revision],
    /// The revision becomes visible before the change.
    RevisionComesFirst: [a_revision_covers_every_change_up_to_it],
    /// The last use at insertion is lost.
    InsertForgetsLastUse: [every_field_of_a_key_is_kept],
    /// Absent values are read as empty ones.
    AbsentIsEmpty: [a_bare_key_gains_nothing],
    /// Times are kept to the second.
    TimesInSeconds: [times_are_kept_to_the_millisecond],
    /// Texts are trimmed.
    TrimsTexts: [unicode_is_kept_as_written],
    /// Numbers are kept as floating-point.
    NumbersAreFloats: [metadata_keeps_numbers_and_nesting],
    /// Ids are truncated.
    CutsIds: [ids_of_any_length_and_case_are_kept],
    /// Digests lose their pepper.
    ForgetsPeppers: [digests_of_every_algorithm_are_kept],
    /// A marker that is set may be set again.
    MarkersAreSetAgain: [
        a_marker_is_set_once,
        one_of_ten_sets_the_marker,
    ],
    /// A marker advances from any value.
    MarkersAdvanceFromAnywhere: [
        a_marker_advances_only_from_its_value,
        ten_that_advance_a_marker_make_each_step_once,
    ],
    /// Markers are not stored.
    ForgetsMarkers: [
        a_marker_is_set_once,
    ],
    /// Of many invalidations the first are kept.
    HistoryForgetsInvalidations: [the_history_tells_every_change],
    /// Changes without invalidations are left out of the history.
    HistoryHasGaps: [the_history_tells_every_change],
    /// All changes have one nonce.
    NoncesRepeat: [the_history_tells_every_change],
    /// The change from which on the history was asked for is left out.
    HistoryBeginsLate: [the_history_tells_every_change],
    /// The head is not of the moment of the history.
    HeadLags: [the_head_is_the_last_change],
    /// An old beat replaces a newer one.
    BeatsFallBack: [a_nodes_row_never_falls_back],
    /// An old acknowledgement replaces a newer one.
    AcknowledgementsFallBack: [a_nodes_row_never_falls_back],
    /// An acknowledgement counts whatever its nonce.
    AcknowledgesAnyHistory: [marks_of_another_history_are_not_acknowledged],
    /// A row is swept whatever its beat.
    SweepsTheLiving: [rows_are_swept_and_replaced],
    /// The row of the id before stays.
    KeepsReplacedNodes: [rows_are_swept_and_replaced],
    /// The roster tells of each node how long another one has been silent.
    RosterMixesNodes: [the_roster_tells_of_each_node],
    /// The roster counts changes that nobody waits for.
    RosterCountsEveryChange: [the_roster_tells_of_each_node],
    /// Detached connections lead elsewhere.
    DetachedIsAnother: [detached_connections_see_the_same_store],
    /// Requests are not remembered.
    ForgetsRequests: [
        a_request_is_remembered_once,
        a_request_shares_the_fate_of_its_change,
    ],
    /// A request is remembered even if its change fails.
    RemembersFailures: [
        a_request_shares_the_fate_of_its_change,
    ],
    /// Requests are never forgotten.
    ForgetsNoRequest: [
        old_and_surplus_requests_are_forgotten,
    ],
    /// One request too few is kept.
    ForgetsOneMore: [
        old_and_surplus_requests_are_forgotten,
    ],
    /// A revocation is not stored.
    UpdateKeepsRevocation: [
        an_update_replaces_every_field,
        setting_the_state_changes_nothing_else,
    ],
    /// Changes of scopes are not stored.
    UpdateKeepsScopes: [
        an_update_replaces_every_field,
    ],
    /// Nothing counts.
    CountsNothing: [
        expired_and_revoked_keys_do_not_count,
    ],
    /// Nothing is deleted.
    DeletesNothing: [
        a_deleted_key_is_not_found,
    ],
    /// An alert is found in any organization.
    AlertsReachAcross: [an_alert_is_written_once_with_its_change],
    /// No alert is known.
    KnowsNoAlerts: [an_alert_is_written_once_with_its_change],
    /// Alerts are not filtered.
    AlertFilterIgnored: [alerts_are_listed_newest_first],
    /// Every page of alerts is the first one.
    AlertPageIgnored: [alerts_are_listed_newest_first],
    /// The oldest alerts come first.
    AlertsOldestFirst: [alerts_are_listed_newest_first],
    /// A rotated secret of a webhook is forgotten at once.
    WebhooksForgetPreviousSecret: [every_field_of_a_webhook_is_kept],
    /// Deliveries are not filtered by their state.
    DeliveriesInAnyState: [a_delivery_is_as_its_last_attempt_left_it],
    /// Disabled webhooks get deliveries.
    SendsToDisabled: [an_alert_goes_to_each_receiver_that_wants_it],
    /// Webhooks get every event.
    SendsEverything: [an_alert_goes_to_each_receiver_that_wants_it],
    /// A key's alerts are not closed.
    ClosesNothing: [an_alert_is_acknowledged_once],
    /// Thresholds are read for one organization only.
    ThresholdsOfOne: [thresholds_are_kept_for_each_organization],
    /// A claim doesn't bind others.
    ClaimsWhatIsClaimed: [a_delivery_is_claimed_by_one_for_a_time, twenty_that_claim_at_once_share],
    /// A claim never ends.
    ClaimsForEver: [a_delivery_is_claimed_by_one_for_a_time],
    /// A delivery is claimed before it is due.
    ClaimsTooEarly: [a_delivery_is_as_its_last_attempt_left_it],
    /// Receivers are not left out.
    ClaimsTheExcepted: [a_delivery_is_claimed_by_one_for_a_time],
    /// An outcome counts after the claim is over.
    SettlesForAnybody: [a_delivery_is_claimed_by_one_for_a_time],
    /// Claims can't be given back.
    ReleasesNothing: [a_delivery_is_claimed_by_one_for_a_time],
    /// The store is never ready.
    CheckFails: [a_working_store_passes_its_check],
}
