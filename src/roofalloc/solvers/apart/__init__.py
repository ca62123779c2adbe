"""Back ends in processes of their own, which may crash, hang or be killed without taking a run with them."""
