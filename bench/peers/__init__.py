"""The programs we measure ourselves against, each written as well as we know how."""
