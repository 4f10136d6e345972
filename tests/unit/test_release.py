"""What may be released: a version with a date, its names, and no tag."""

from pathlib import Path

from tests.check_release import problem


def test_a_release_has_a_date_its_names_and_no_tag(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "0.3.0"\n')
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text("# Changelog\n## 0.3.0 (unreleased)\n")
    assert str(problem(tmp_path, [])).startswith("CHANGELOG.md has no section '## 0.3.0 (YYYY-MM-DD)'")
    changelog.write_text("# Changelog\n## 0.3.0 (2026-12-01)\n")
    assert "promises.json is missing" in str(problem(tmp_path, []))
    folder = tmp_path / "tests" / "data" / "releases" / "0.3.0"
    folder.mkdir(parents=True)
    (folder / "promises.json").write_text("{}")
    assert problem(tmp_path, ["v0.2.0"]) is None
    assert "is a tag already" in str(problem(tmp_path, ["v0.3.0"]))
