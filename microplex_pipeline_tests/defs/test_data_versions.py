import shutil

from microplex_pipeline.defs.data_versions import FILES, data_version
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder


def versions(folder):
    data = DataFolder(str(folder))
    return {asset: data_version(asset, "RI", 2014, data, Parameters(), []) for asset in FILES}


def test_other_words_for_a_column_make_reports_alone_out_of_date(data, schema, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(data, folder)
    before = versions(folder)
    dictionary = folder / schema.columns_file
    text = dictionary.read_text()
    dictionary.write_text(text.replace("wages and salaries of the head,", "pay of the head,", 1))
    assert dictionary.read_text() != text
    after = versions(folder)
    assert {asset for asset in FILES if after[asset] != before[asset]} == {"state_report"}
