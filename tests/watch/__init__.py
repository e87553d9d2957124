"""Programs of users, run and watched."""
