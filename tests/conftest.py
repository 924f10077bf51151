"""What many tests share."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def few_threads():
    """Test processes run side by side; torch's own threads would only make them wait for one another."""
    torch.set_num_threads(1)
