//! End to end with the real clients: Terraform, the AWS CLI, curl and skopeo against the real program, with real
//! containers and packets. Root is needed; nothing leaves the machine.
//!
//! One Terraform apply serves many cases: each changes the running stack through the API and puts it back.

mod cases;
mod leftovers;
mod stack;

use leftovers::Leftovers;
use stack::Stack;

#[test]
fn the_example_stack_lives_fails_and_heals_as_on_aws_and_ends_without_a_trace() {
    let before = Leftovers::count();
    {
        let stack = Stack::up();
        cases::two_steps_of_the_first_apply(&stack);
        cases::the_second_plan_is_empty(&stack);
        cases::hello_world_comes_back(&stack);
        cases::the_task_sees_the_load_balancer_and_the_client_s_address(&stack);
        cases::the_cli_shows_the_service_as_aws_does(&stack);
        cases::without_the_ingress_rule_no_new_connection_reaches_the_task(&stack);
        cases::without_the_egress_rule_no_new_connection_leaves_the_load_balancer(&stack);
        cases::without_its_own_rule_the_load_balancer_is_silent(&stack);
        cases::the_data_plane_goes_on_while_serve_is_dead(&stack);
        cases::the_agent_may_die_and_comes_back(&stack);
        cases::a_killed_balancer_comes_back(&stack);
        cases::a_killed_task_is_replaced(&stack);
        cases::a_role_without_policy_cannot_pull(&stack);
        cases::a_private_subnet_without_nat_cannot_pull(&stack);
        cases::skopeo_pushes_and_pulls(&stack);
        cases::the_second_plan_is_empty(&stack);
        cases::destroy_takes_everything(&stack);
        stack.down();
    }
    let after = Leftovers::count();
    assert_eq!(before, after, "something was left behind");
}
