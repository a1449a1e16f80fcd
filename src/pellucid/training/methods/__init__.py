"""Methods of training: `features`, `finetune`, `scratch` and `best-within`. `training.METHODS` lists them."""
