//! What every store must do, run on every store there is.

mod challenges;
mod codes;
mod devices;
mod directory;
mod enrolling;
mod enrollments;
mod files;
mod fixture;
mod hold_copies;
mod model;
mod new_keys;
mod queue;
mod races;
mod redis;
mod synced;

/// Each case on each store.
macro_rules! conformance {
    (on $($store:ident)*: $cases:tt) => {$(
        conformance! { each on $store $cases }
    )*};
    (each on $store:ident { $($module:ident { $($case:ident)* })* }) => {
        mod $store {$(
            mod $module {$(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    if let Some(stores) = crate::fixture::$store().await {
                        crate::$module::$case(stores).await;
                    }
                }
            )*}
        )*}
    };
}

/// Challenges.
mod challenge_state {
    conformance! { on in_memory in_a_file on_redis on_a_cluster: {
        challenges {
            an_attempt_gets_one_challenge_also_after_a_restart
            the_newest_is_open_and_the_one_it_pushed_out_is_superseded
            open_ones_are_listed_newest_first_and_the_oldest_is_pushed_out
            expiry_that_was_seen_stands_when_the_clock_steps_back
            a_wait_before_the_commit_makes_no_old_settlement
            a_revoked_device_is_answered_as_if_it_had_not_been_asked
            an_approval_is_redeemed_by_its_attempt_and_user_in_time
            fetched_is_never_overwritten
            cleaning_forgets_what_can_be_read_no_more
            more_than_one_cleaning_can_take_is_forgotten_in_turns
            an_attempt_whose_challenge_can_be_read_no_more_asks_anew
        }
        races {
            a_thousand_decisions_of_ten_devices_make_one_settlement
            a_thousand_redemptions_give_one_time_and_none_to_another_attempt
            of_racing_challenges_one_stays_and_each_other_is_superseded_once
            racing_calls_of_one_attempt_get_one_challenge
            a_revocation_lets_answers_through_before_it_and_none_after
        }
    } }
}

/// The directory.
mod directory_state {
    conformance! { on in_memory in_a_file: {
        races {
            of_racing_devices_one_takes_the_link
            racing_wrong_codes_are_counted_each
            a_deletion_and_an_enrolment_at_once_leave_all_or_nothing
            what_is_read_of_a_user_is_from_one_moment
            of_racing_challenges_one_has_the_code
            of_racing_enrolments_one_has_the_approval
        }
        codes {
            a_secret_counts_once_its_first_code_has_come
            three_wrong_codes_end_the_enrolment_of_a_secret
            a_step_is_accepted_once_and_for_one_challenge
            a_recovery_code_is_used_once_released_and_replaced
            a_devices_own_secret_lives_and_dies_with_it
            a_revoked_secret_or_code_is_gone_and_its_tombstone_due
            a_user_has_five_secrets_at_most
            one_approval_completes_one_factor
            a_permission_is_good_for_one_factor_begun_in_time
            the_first_factor_ends_every_other_enrolment
            a_deleted_user_has_no_codes_and_never_had_any
        }
        hold_copies {
            lock_and_block_are_copied_until_they_are_lifted
            a_user_of_whom_nothing_is_to_be_said_is_forgotten_a_day_after_the_unlocking
            however_many_users_were_unlocked_all_are_forgotten_in_turns
        }
        enrollments {
            a_link_serves_one_device_and_one_code_binds_it
            a_third_wrong_code_ends_it
            a_code_for_another_key_changes_nothing
            a_newer_one_supersedes_what_is_open
            expiry_is_sealed_by_whoever_sees_it
            a_link_whose_time_is_over_is_not_taken_though_nobody_has_seen_it_expire
            another_application_finds_none
            a_known_key_is_refused_also_one_that_is_revoked
            a_user_with_all_devices_begins_none
            cleaning_forgets_them_a_day_later_and_devices_that_never_came_into_use
        }
        devices {
            devices_are_listed_oldest_first_and_only_to_their_user
            a_revocation_marks_its_tombstone_as_due_once
            only_a_bound_device_of_the_user_with_the_key_is_revoked
            a_deleted_user_leaves_nothing_but_tombstones_that_are_due
            a_change_replaces_what_it_sets_once_and_in_order
            a_target_is_gone_only_if_it_is_still_the_devices
            use_and_calls_are_noted_and_never_earlier
        }
        new_keys {
            a_new_key_takes_over_and_the_old_binding_is_kept
            a_key_is_replaced_by_a_fresh_one_in_order_and_only_by_its_owner
            a_change_that_ended_a_key_is_told_again_for_a_day_also_after_goodbye
            a_goodbye_revokes_the_device_and_marks_its_tombstone_as_due
            of_racing_new_keys_one_takes_over
            a_revocation_that_races_a_new_key_ends_the_device
        }
        directory {
            a_name_is_taken_once
            keys_stand_side_by_side_and_each_is_removed_alone
            a_policy_is_replaced_only_if_it_is_the_one_that_was_read
            the_first_sealed_value_stands_until_it_is_replaced
            a_version_of_the_server_key_is_added_once
        }
    } }
}
