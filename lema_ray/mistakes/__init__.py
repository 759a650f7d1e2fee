"""Error analysis: types of mistakes as data, where and how a solution goes wrong, and how well a corrector sees it."""
